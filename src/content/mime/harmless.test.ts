/**
 * Everyday mail, as the common programs write it and as gateways, lists and servers leave it: nothing may be held against any of it. A
 * gateway that blocks such mail is of no use. Rows under ODD are marked all the same, and say why: there, common readers would give out
 * different files.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Arena } from '../../core/arena.js';
import type { Inspected } from '../../core/file.js';
import { DEFAULT_LIMITS } from '../../core/limits.js';
import { zipOf } from '../../testing/archive-bytes.js';
import { createUnpackers } from '../archive/unpackers.js';
import { Inspection } from '../inspection.js';
import { identify } from '../types/identify.js';
import { createMimeExtractor } from './mime-extractor.js';

const arena = new Arena(1024);
const limits = { ...DEFAULT_LIMITS, slot: 1 << 20, slots: 16 << 20 };
const unpackers = createUnpackers({ limits });
const inspection = new Inspection({
  arena,
  limits,
  extractors: [createMimeExtractor({ arena, limits })],
  unpackers: unpackers.unpackers,
  scanners: [],
  identify,
});

/** What was found in a message and in all that came out of it; how many files that were. */
async function found(message: string | Buffer, piece = 1 << 20): Promise<{ said: string[]; files: number }> {
  const bytes = typeof message === 'string' ? Buffer.from(message, 'latin1') : message;
  const root = await new Promise<Inspected>((resolve) => {
    const file = inspection.open({ name: 'm.eml', direction: 'download', declaredType: 'message/rfc822' }, resolve);
    for (let at = 0; at < bytes.length; at += piece) file.write(bytes, at, Math.min(bytes.length, at + piece));
    file.end();
  });
  const said: string[] = [];
  let files = 0;
  const visit = (file: Inspected): void => {
    files++;
    if (file.info.state !== 'complete') said.push(file.info.state);
    for (const finding of file.findings) said.push(finding.kind === 'malformed' ? finding.code : finding.kind);
    file.children.forEach(visit);
  };
  visit(root);
  return { said, files };
}

const crlf = (...lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');
const HEAD = crlf('From: Ann <a@x.test>', 'To: b@x.test', 'Subject: Hello', 'Date: Mon, 2 Nov 2026 10:00:00 +0100');
const MIME = `${HEAD}MIME-Version: 1.0\r\n`;
const simple = (headers: string, body: string): string => `${MIME}${headers}\r\n${body}`;
const b64 = (data: Buffer | string): string =>
  Buffer.from(data)
    .toString('base64')
    .replace(/.{76}(?=.)/g, '$&\r\n');

/** A multipart of `parts`, each with its header block, its empty line and its body. */
function multi(kind: string, parts: readonly string[], boundary = '=_b1', preamble = '', epilogue = ''): string {
  const type = `Content-Type: multipart/${kind}; boundary="${boundary}"\r\n\r\n${preamble}`;
  return `${type}${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n${epilogue}`;
}
const TEXT = 'Content-Type: text/plain; charset=us-ascii\r\n\r\nHello\r\n';
const HTML = 'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>Hello</p>';
function attached(name: string, data: Buffer, type = 'application/octet-stream'): string {
  return crlf(
    `Content-Type: ${type}; name="${name}"`,
    'Content-Transfer-Encoding: base64',
    `Content-Disposition: attachment; filename="${name}"`,
    '',
    b64(data),
  );
}
const carrying = (name: string, data: Buffer, type?: string): string =>
  MIME + multi('mixed', [TEXT, attached(name, data, type)]);

const DOCX = zipOf([
  { name: '[Content_Types].xml', data: '<Types/>' },
  { name: '_rels/.rels', data: '<Relationships/>' },
  { name: 'word/document.xml', data: '<w:document/>' },
]);
const PDF = Buffer.from('%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\nstartxref\n9\n%%EOF\n');
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
const TNEF = Buffer.concat([
  Buffer.from('789f3e220100', 'hex'),
  Buffer.from('0106900800040000000000010001 00'.replaceAll(' ', ''), 'hex'),
]);
/** A signature without what is signed, as smime.p7s is. */
const P7S = Buffer.from(
  '3023' + '06092a864886f70d010702' + 'a016' + '3014' + '020101' + '3100' + '300b06092a864886f70d010701' + '',
  'hex',
);

/** The MIME structures below as one message is quoted in another. */
const ORIGINAL = `Received: from mx by mx2; Mon, 2 Nov 2026 10:00:00 +0100\r\n${MIME}${multi('alternative', [TEXT, HTML], 'orig')}`;
const REPORT = (original: string): string =>
  MIME +
  multi('report; report-type=delivery-status', [
    crlf('Content-Description: Notification', 'Content-Type: text/plain; charset=us-ascii', '', 'It failed.'),
    crlf(
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.test',
      '',
      'Final-Recipient: rfc822; b@x.test',
      'Action: failed',
      'Status: 5.1.1',
    ),
    original,
  ]);

const HARMLESS: Readonly<Record<string, string | Buffer>> = {
  'no MIME at all': `${HEAD}\r\nHello\r\n`,
  'no MIME, 8-bit text in Latin-1': `${HEAD}\r\nGr\xfc\xdfe\r\n`,
  'no MIME, raw UTF-8 in the headers': `${Buffer.from('From: Änne <a@x.test>\r\nSubject: Grüße\r\n').toString('latin1')}\r\nHi\r\n`,
  'raw Japanese (ISO-2022-JP) in headers and text': `From: a@x.test\r\nSubject: \x1b$B$3$s\x1b(B\r\n\r\n\x1b$B$3$s\x1b(B\r\n`,
  'no headers but a few, no body': `${HEAD}\r\n`,
  'headers alone, without the empty line': HEAD,
  'no newline at the end': `${HEAD}\r\nHello`,
  'bare LF throughout': (MIME + multi('mixed', [TEXT, attached('a.pdf', PDF)])).replaceAll('\r\n', '\n'),
  'saved from a mailbox, with its From line': `From a@x.test Mon Nov  2 10:00:00 2026\n${HEAD.replaceAll('\r\n', '\n')}\nHi\n`,
  'a text with > From quoted': `${HEAD}\r\n>From here on\r\n`,
  'long lines': `${HEAD}\r\n${'word '.repeat(4000)}\r\n`,
  'a long References field in many folds': `${HEAD}References:${'\r\n <0123456789@mail.x.test>'.repeat(200)}\r\n\r\nHi\r\n`,
  'a folded field that begins in its second line': `${HEAD}X-Long:\r\n something\r\n\r\nHi\r\n`,
  'a field without a value': `${HEAD}X-Empty:\r\nReply-To: \r\n\r\nHi\r\n`,
  'DKIM that lists the names of fields': `DKIM-Signature: v=1; a=rsa-sha256; h=From:To:Subject:Date:\r\n\tMIME-Version:Content-Type:\r\n\tContent-Transfer-Encoding; b=abc=\r\n${MIME}Content-Type: text/plain\r\n\r\nHi\r\n`,
  'format=flowed': simple(
    'Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n',
    'Hello \r\nthere\r\n-- \r\nAnn\r\n',
  ),
  'a dash signature in a multipart':
    MIME + multi('mixed', ['Content-Type: text/plain\r\n\r\nHello\r\n-- \r\nAnn\r\n--\r\nBob\r\n----- cut -----']),
  'a quoted message in dashes in a multipart':
    MIME +
    multi(
      'mixed',
      ['Content-Type: text/plain\r\n\r\n-----Original Message-----\r\nFrom: a\r\n\r\n--------\r\n'],
      '----=_Part_1',
    ),
  'HTML only': simple('Content-Type: text/html; charset=UTF-8\r\n', '<html><body>Hi</body></html>\r\n'),
  'an unknown charset': simple('Content-Type: text/plain; charset=x-unknown\r\n', 'Hi\r\n'),
  'a charset in quotes, and none': simple('Content-Type: text/plain; charset=""\r\n', 'Hi\r\n'),
  'a semicolon at the end of the type': simple('Content-Type: text/plain; charset=us-ascii;\r\n', 'Hi\r\n'),
  'the type in capitals': simple(
    'CONTENT-TYPE: TEXT/PLAIN; CHARSET=US-ASCII\r\nCONTENT-TRANSFER-ENCODING: 7BIT\r\n',
    'Hi\r\n',
  ),
  'the version in a comment': simple('Content-Type: text/plain\r\n', 'Hi\r\n').replace(
    '1.0',
    '1.0 (Mac OS X Mail 16.0 \\(3696.120.41.1.1\\))',
  ),
  'quoted-printable': simple(
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n',
    'Gr=C3=BC=C3=9Fe =\r\nand a long =3D line\r\n',
  ),
  'quoted-printable with lower-case digits': simple(
    'Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n',
    'gr=c3=bc\r\n',
  ),
  'quoted-printable with blanks at line ends': simple(
    'Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n',
    'one \t\r\ntwo= \t\r\nthree\r\n',
  ),
  'quoted-printable with 8-bit characters': simple(
    'Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n',
    'gr\xc3\xbc=C3=9F\r\n',
  ),
  'base64 text': simple(
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n',
    `${b64('Hello there\r\n')}\r\n`,
  ),
  'base64 in one long line': simple(
    'Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n',
    `${Buffer.alloc(9000, 'x').toString('base64')}\r\n`,
  ),
  'base64 with empty lines behind': simple(
    'Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n',
    `${b64('Hello')}\r\n\r\n\r\n`,
  ),
  'base64 of nothing': MIME + multi('mixed', [TEXT, attached('empty.txt', Buffer.alloc(0))]),
  'Outlook: alternative within related within mixed':
    MIME +
    multi(
      'mixed',
      [
        multi(
          'related',
          [multi('alternative', [TEXT, HTML], '----=_NextPart_002'), attached('image001.png', PNG, 'image/png')],
          '----=_NextPart_001',
        ),
        attached('a.docx', DOCX),
      ],
      '----=_NextPart_000',
      'This is a multi-part message in MIME format.\r\n\r\n',
    ),
  'Outlook: winmail.dat': carrying('winmail.dat', TNEF, 'application/ms-tnef'),
  Gmail:
    MIME +
    multi(
      'mixed',
      [
        multi(
          'alternative',
          [
            'Content-Type: text/plain; charset="UTF-8"\r\n\r\nHi\r\n',
            'Content-Type: text/html; charset="UTF-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<div dir=3D"ltr">Hi</div>\r\n',
          ],
          '000000000000aa',
        ),
        attached('a.pdf', PDF, 'application/pdf'),
      ],
      '000000000000ab',
    ),
  Thunderbird:
    MIME +
    multi(
      'mixed',
      [
        'Content-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n',
        attached('a.pdf', PDF, 'application/pdf'),
      ],
      '------------abc',
      'This is a multi-part message in MIME format.\r\n',
    ),
  'Apple Mail: boundaries that begin alike':
    MIME +
    multi(
      'alternative',
      [TEXT, multi('mixed', [HTML, attached('a.pdf', PDF, 'application/pdf')], 'Apple-Mail=_1')],
      'Apple-Mail=_12',
    ),
  'Apple Mail: resource fork beside the file (AppleDouble)':
    MIME +
    multi('mixed', [
      TEXT,
      multi(
        'appledouble',
        [
          attached('a.pdf', Buffer.from('00051607', 'hex'), 'application/applefile'),
          attached('a.pdf', PDF, 'application/pdf'),
        ],
        'ad',
      ),
    ]),
  'an invitation':
    MIME +
    multi('mixed', [
      multi(
        'alternative',
        [
          TEXT,
          HTML,
          'Content-Type: text/calendar; charset="utf-8"; method=REQUEST\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
            b64('BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n'),
        ],
        'c2',
      ),
      attached('invite.ics', Buffer.from('BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n'), 'application/ics'),
    ]),
  'a contact': carrying('a.vcf', Buffer.from('BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n'), 'text/x-vcard'),
  'S/MIME, signed in the clear':
    MIME +
    multi(
      'signed; protocol="application/pkcs7-signature"; micalg=sha-256',
      [TEXT, attached('smime.p7s', P7S, 'application/pkcs7-signature')],
      '----8A',
      'This is an S/MIME signed message\r\n\r\n',
    ),
  'PGP/MIME, signed':
    MIME +
    multi('signed; micalg=pgp-sha256; protocol="application/pgp-signature"', [
      TEXT,
      'Content-Type: application/pgp-signature; name="OpenPGP_signature.asc"\r\nContent-Description: OpenPGP digital signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\n',
    ]),
  'PGP, signed in the text': `${HEAD}\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHi\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n`,
  'a list footer as a part':
    MIME +
    multi('mixed', [
      TEXT,
      'Content-Type: text/plain; charset="us-ascii"\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n\r\n_______________________________________________\r\nlist mailing list\r\n',
    ]),
  'a list footer behind the close delimiter':
    MIME + multi('alternative', [TEXT, HTML], 'x', '', '\r\n-- \r\nTo unsubscribe: list@x.test\r\n---\r\n____\r\n'),
  'a digest':
    MIME +
    multi(
      'digest',
      [
        '\r\nFrom: a@x.test\r\nSubject: one\r\n\r\nfirst\r\n',
        `Content-Type: message/rfc822\r\n\r\n${HEAD}\r\nsecond\r\n`,
      ],
      'dig',
    ),
  'a bounce with the message': REPORT(`Content-Type: message/rfc822\r\n\r\n${ORIGINAL}`),
  'a bounce with the headers alone': REPORT(
    crlf(
      'Content-Type: text/rfc822-headers',
      '',
      'From: a@x.test',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed; boundary="gone"',
    ),
  ),
  'a bounce of qmail': `${HEAD}\r\nHi. This is the qmail-send program.\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n${ORIGINAL}`,
  'a read receipt':
    MIME +
    multi('report; report-type=disposition-notification', [
      TEXT,
      'Content-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822;b@x.test\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n',
    ]),
  'a feedback report':
    MIME +
    multi('report; report-type=feedback-report', [
      TEXT,
      'Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n',
      `Content-Type: message/rfc822\r\n\r\n${HEAD}\r\nspam\r\n`,
    ]),
  'a message forwarded as an attachment':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: message/rfc822; name="Hello.eml"\r\nContent-Disposition: attachment; filename="Hello.eml"\r\n\r\n${ORIGINAL}`,
    ]),
  'a message attached as base64 under its name': carrying('Hello.eml', Buffer.from(ORIGINAL, 'latin1')),
  'a message quoted in an attached text': carrying(
    'mail.txt',
    Buffer.from(`${MIME}Content-Type: multipart/mixed; boundary=gone\r\n\r\n`),
    'text/plain',
  ),
  'a name in RFC 2231':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename*0*=UTF-8''Gr%C3%BC%C3%9Fe%20;\r\n filename*1*=und%20mehr.pdf\r\n\r\n${b64(PDF)}`,
    ]),
  'a name in RFC 2047, quoted':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: application/pdf; name="=?UTF-8?Q?Gr=C3=BC=C3=9Fe=2Epdf?="\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="=?UTF-8?Q?Gr=C3=BC=C3=9Fe=2Epdf?="\r\n\r\n${b64(PDF)}`,
    ]),
  'a name in RFC 2231 beside a plain one':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="Grusse.pdf"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf\r\n\r\n${b64(PDF)}`,
    ]),
  'an unquoted name with blanks':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: application/pdf; name=My report.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=My report.pdf\r\n\r\n${b64(PDF)}`,
    ]),
  'a name in raw UTF-8': MIME + multi('mixed', [TEXT, attached(Buffer.from('Grüße.pdf').toString('latin1'), PDF)]),
  'prose about uuencode': `${HEAD}\r\nThe line\r\nbegin 644 file.txt\r\nstarts it, and end ends it.\r\n`,
  'a file uuencoded in the text': `${HEAD}\r\nHere:\r\n\r\nbegin 644 a.txt\r\n%:&5L;&\\*\r\n\`\r\nend\r\n`,
  'a public key in the text': `${HEAD}\r\n-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nmQENB\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n`,
  'a zip': carrying(
    'a.zip',
    zipOf([
      { name: 'a.txt', data: 'hello' },
      { name: 'b/', data: '' },
      { name: 'b/c.txt', data: 'there' },
    ]),
  ),
  'a docx': carrying('a.docx', DOCX, 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'),
  'a pdf': carrying('a.pdf', PDF, 'application/pdf'),
  'a gzip file': carrying('a.txt.gz', gzipSync('hello'), 'application/gzip'),
  'a binary part (BINARYMIME)':
    MIME +
    multi('mixed', [
      TEXT,
      `Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n${PNG.subarray(0, 4).toString('latin1')}\r\n\r\n--x`,
    ]),
  'a multipart with one part': MIME + multi('mixed', [TEXT]),
  'an empty part': MIME + multi('mixed', [TEXT, 'Content-Type: text/plain\r\n\r\n']),
  'a part without a header': MIME + multi('mixed', ['\r\nHello\r\n']),
  'blanks behind the delimiters': MIME + multi('mixed', [TEXT]).replaceAll(/^(--=_b1(--)?)\r$/gm, '$1 \r'),
  'a boundary with every character that RFC 2046 allows': MIME + multi('mixed', [TEXT, HTML], "'()+_,-./:=? x"),
  'a boundary without quotes': MIME + multi('mixed', [TEXT, HTML], 'abc').replace('"abc"', 'abc'),
  'a boundary in a line of its own':
    MIME + multi('mixed', [TEXT, HTML], 'abc').replace('; boundary', ';\r\n\tboundary'),
  'a second MIME-Version in a part': MIME + multi('mixed', [`MIME-Version: 1.0\r\n${TEXT}`]),
  'a parameter without a value': simple('Content-Type: text/plain; charset\r\n', 'Hi\r\n'),
};

for (const [title, message] of Object.entries(HARMLESS)) {
  test(`harmless: ${title}`, async () => {
    assert.deepEqual((await found(message)).said, []);
    assert.deepEqual((await found(message, 7)).said, [], 'in pieces');
  });
}

/** What is marked although it is found in everyday mail, rarely. */
const ODD: Readonly<Record<string, readonly [string | Buffer, string]>> = {
  // Some readers give out what follows as a part of the message around it, some as one of the inner.
  'a multipart without its close delimiter': [
    (MIME + multi('mixed', [TEXT])).replace('--=_b1--\r\n', ''),
    'mime-missing-close',
  ],
  // `=` and what follows are kept, dropped or decoded.
  'a stray = in quoted-printable': [
    simple('Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n', '<a href="?a=x">\r\n'),
    'mime-qp-escape',
  ],
  // Taken as 7bit or as base64, by what they look like.
  'an unknown transfer encoding': [
    simple('Content-Type: text/plain\r\nContent-Transfer-Encoding: 7-bit\r\n', 'Hi\r\n'),
    'mime-encoding-unknown',
  ],
  // The kernel takes blanks for what they are in the middle of a line: bytes that some decoders skip and some stop at.
  'base64 with blanks at line ends': [
    simple(
      'Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n',
      `${b64(Buffer.alloc(90, 'x')).replaceAll('\r\n', ' \r\n')} \r\n`,
    ),
    'mime-base64-junk',
  ],
  // Readers end at the padding or go on behind it.
  'base64 of two pieces, each padded': [
    simple('Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n', `${b64('a')}\r\n${b64('b')}\r\n`),
    'mime-base64-after-padding',
  ],
};

for (const [title, [message, code]] of Object.entries(ODD)) {
  test(`marked: ${title}`, async () => {
    assert.deepEqual((await found(message)).said, [code]);
  });
}

test.after(() => unpackers.close());
