/** FortiOS file types by a name's ending. A name is a claim: it adds types for the file filter, and never takes one away. */

/** Type and the endings that name it, lower case. Several types may share an ending. */
const ENDINGS: readonly (readonly [string, string])[] = [
  ['7z', '7z'],
  ['arj', 'arj'],
  ['cab', 'cab'],
  ['lzh', 'lzh lha'],
  ['rar', 'rar'],
  ['tar', 'tar tgz tbz tbz2 txz tlz'],
  ['zip', 'zip zipx jar war ear apk aar xpi ipa'],
  ['bzip', 'bz'],
  ['gzip', 'gz tgz'],
  ['bzip2', 'bz2 tbz tbz2'],
  ['xz', 'xz txz'],
  ['lzip', 'lz tlz'],
  ['bat', 'bat cmd'],
  ['uue', 'uue uu xxe'],
  ['mime', 'eml mht mhtml mim mime nws'],
  ['base64', 'b64 base64'],
  ['binhex', 'hqx'],
  ['bin', 'bin'],
  ['elf', 'elf so ko'],
  ['exe', 'exe com scr pif cpl'],
  ['dll', 'dll ocx sys drv'],
  ['jnlp', 'jnlp'],
  ['hta', 'hta'],
  ['html', 'html htm xhtml shtml'],
  ['jad', 'jad'],
  ['class', 'class'],
  ['cod', 'cod'],
  ['javascript', 'js mjs cjs jse'],
  ['msoffice', 'doc dot xls xlt xla ppt pps pot vsd mpp pub'],
  ['msofficex', 'docx docm dotx dotm xlsx xlsm xltx xltm xlsb xlam pptx pptm potx potm ppsx ppsm ppam sldx vsdx vsdm'],
  ['sis', 'sis sisx'],
  ['hlp', 'hlp'],
  ['activemime', 'mso'],
  ['jpeg', 'jpg jpeg jpe jfif'],
  ['gif', 'gif'],
  ['tiff', 'tif tiff'],
  ['png', 'png'],
  ['bmp', 'bmp dib'],
  ['mpeg', 'mpg mpeg mpe m1v m2v vob ts'],
  ['mov', 'mov qt mp4 m4v m4a 3gp'],
  ['mp3', 'mp3'],
  ['wma', 'wma wmv asf'],
  ['wav', 'wav'],
  ['pdf', 'pdf'],
  ['avi', 'avi'],
  ['rm', 'rm ra rmvb'],
  ['torrent', 'torrent'],
  ['hibun', 'hibun'],
  ['msi', 'msi msp mst'],
  ['mach-o', 'dylib macho'],
  ['dmg', 'dmg'],
  ['xar', 'xar pkg'],
  ['chm', 'chm'],
  ['iso', 'iso'],
  ['crx', 'crx'],
  ['flac', 'flac'],
  ['registry', 'reg'],
  ['hwp', 'hwp hwpx hwt'],
  ['rpm', 'rpm'],
  ['c/cpp', 'c h cc cpp cxx hpp hxx hh'],
  ['pfile', 'pfile ppdf ppng pjpg ptxt pxml'],
  ['wasm', 'wasm'],
  ['sylk', 'slk sylk'],
  ['shellscript', 'sh bash ksh zsh csh'],
  ['genscript', 'vbs vbe wsf wsh ps1 psm1 pl pm rb php lua tcl awk scpt'],
  ['python', 'py pyw pyi'],
];

let byEnding: Map<string, string[]> | undefined;

function load(): Map<string, string[]> {
  const map = new Map<string, string[]>();
  for (const [type, endings] of ENDINGS)
    for (const ending of endings.split(' ')) map.set(ending, [...(map.get(ending) ?? []), type]);
  return map;
}

/** The types that `name` claims; none when its ending is not known. What Windows ignores at a name's end (dots, spaces) is no ending. */
export function typesByName(name: string): string[] {
  byEnding ??= load();
  const leaf = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  let end = leaf.length;
  while (end > 0 && (leaf[end - 1] === '.' || leaf[end - 1] === ' ' || leaf[end - 1] === '\0')) end--;
  const dot = leaf.lastIndexOf('.', end - 1);
  if (dot < 0) return [];
  return [...(byEnding.get(leaf.slice(dot + 1, end).toLowerCase()) ?? [])];
}
