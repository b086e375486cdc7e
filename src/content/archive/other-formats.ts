/** Containers that FortiOS has no type for and that 7-Zip opens, by their first bytes. */
const MAGICS: readonly (readonly [string, Buffer])[] = [
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['Z', Buffer.from('1f9d', 'hex')],
  ['wim', Buffer.from('MSWIM\0\0\0', 'latin1')],
  ['ar', Buffer.from('!<arch>\n', 'latin1')],
  ['cpio', Buffer.from('070701', 'latin1')],
  ['cpio', Buffer.from('070702', 'latin1')],
  ['cpio', Buffer.from('070707', 'latin1')],
  ['squashfs', Buffer.from('hsqs', 'latin1')],
  ['vhdx', Buffer.from('vhdxfile', 'latin1')],
];

/** 7-Zip's name for it. */
export function otherFormat(head: Buffer): string | undefined {
  return MAGICS.find(([, magic]) => head.length >= magic.length && head.subarray(0, magic.length).equals(magic))?.[0];
}
