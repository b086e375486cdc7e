import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EICAR, gzipOf, tarOf, zipOf } from '../../testing/archive-bytes.js';
import { contentOf, spooledContentOf } from '../../testing/unpack-recorder.js';
import { headDecides, identify } from './identify.js';
import { typesByName } from './names.js';

/** In memory and spooled; the two must agree. */
function typesOf(bytes: Buffer | string, name?: string): string {
  const buffer = Buffer.from(bytes as Buffer);
  const inMemory = identify(contentOf(buffer), name);
  assert.deepEqual(identify(spooledContentOf(buffer), name), inMemory);
  return inMemory.types.join(' ') + (inMemory.encrypted ? ' (encrypted)' : '');
}
const hex = (text: string, length = 600): Buffer =>
  Buffer.concat([Buffer.from(text.replaceAll(' ', ''), 'hex'), Buffer.alloc(length)]);
const latin = (text: string, length = 600): Buffer =>
  Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(length)]);
function at(offset: number, text: string, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.write(text, offset, 'latin1');
  return bytes;
}

/** A PE file with these section names. */
function peOf(sections: readonly string[], options: { readonly dll?: boolean; readonly clr?: boolean } = {}): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('MZ');
  bytes.writeUInt32LE(128, 60);
  bytes.write('PE\0\0', 128);
  bytes.writeUInt16LE(sections.length, 134);
  bytes.writeUInt16LE(224, 148);
  bytes.writeUInt16LE(options.dll === true ? 0x2000 : 0x0002, 150);
  bytes.writeUInt16LE(0x10b, 152);
  if (options.clr === true) bytes.writeUInt32LE(0x2000, 152 + 96 + 14 * 8);
  for (const [i, name] of sections.entries()) bytes.write(name, 152 + 224 + i * 40);
  return bytes;
}

/** A compound file with these directory entries. */
function ole2Of(names: readonly string[], rootClass = ''): Buffer {
  const bytes = Buffer.alloc(512 * 8, 0xff);
  bytes.fill(0, 0, 76);
  Buffer.from('d0cf11e0a1b11ae1', 'hex').copy(bytes);
  bytes.writeUInt16LE(9, 30);
  bytes.writeUInt32LE(1, 48);
  bytes.writeUInt32LE(0, 76);
  // The table is sector 0; the directory is sectors 1 and 3.
  bytes.writeUInt32LE(3, 512 + 4);
  bytes.writeUInt32LE(0xfffffffe, 512 + 12);
  const places = [1024, 1152, 1280, 1408, 2048, 2176, 2304, 2432];
  for (const place of places) bytes.fill(0, place, place + 128);
  ['Root Entry', ...names].forEach((name, i) => {
    const place = places[i]!;
    bytes.write(name, place, 'utf16le');
    bytes.writeUInt16LE(name.length * 2 + 2, place + 64);
    bytes[place + 66] = i === 0 ? 5 : 2;
    if (i === 0) Buffer.from(rootClass, 'hex').copy(bytes, place + 80);
  });
  return bytes;
}

describe('identify', () => {
  it('knows the fixed signatures of the table', () => {
    const files: [string, Buffer][] = [
      ['7z', hex('377abcaf271c0004')],
      ['xz', hex('fd377a585a00')],
      ['bzip2', latin('BZh91AY&SY')],
      ['bzip', latin('BZ0')],
      ['lzip', latin('LZIP\x01')],
      ['rar', latin('Rar!\x1a\x07\x01\x00')],
      ['cab', latin('MSCF\0\0\0\0')],
      ['arj', hex('60ea 2200 22 0b 01 00 10 00 02')],
      ['lzh', latin('\x20\x00-lh5-')],
      ['xar', latin('xar!\0\x1c\0\x01')],
      ['rpm', hex('edabeedb0300')],
      ['crx', latin('Cr24\x03\0\0\0')],
      ['elf', latin('\x7fELF\x02\x01\x01')],
      ['mach-o', hex('cffaedfe07000001')],
      ['mach-o', hex('cafebabe00000002')],
      ['class', hex('cafebabe00000034')],
      ['wasm', hex('0061736d01000000')],
      ['chm', latin('ITSF\x03\0\0\0')],
      ['hlp', hex('3f5f0300')],
      ['activemime', latin('ActiveMime')],
      ['jpeg', hex('ffd8ffe0')],
      ['gif', latin('GIF89a')],
      ['png', latin('\x89PNG\r\n\x1a\n')],
      ['tiff', latin('II*\0')],
      ['bmp', hex('424d 36000000 00000000 36000000 28000000')],
      ['wav', latin('RIFF\0\0\0\0WAVEfmt ')],
      ['avi', latin('RIFF\0\0\0\0AVI LIST')],
      ['flac', latin('fLaC')],
      ['wma', hex('3026b2758e66cf11a6d900aa0062ce6c')],
      ['rm', latin('.RMF')],
      ['mp3', latin('ID3\x04')],
      ['mpeg', hex('000001ba')],
      ['mov', latin('\0\0\0\x14ftypqt  ')],
      ['mov', latin('\0\0\0\x14ftypisom')],
      ['torrent', latin('d8:announce')],
      ['sylk', latin('ID;PWXL;N;E')],
      ['sis', hex('7a1a2010')],
      ['cod', hex('dec0ffff')],
      ['hwp', latin('HWP Document File V3.00')],
      ['iso', at(32_769, 'CD001', 40_000)],
      ['iso', at(36_865, 'CD001', 40_000)],
    ];
    for (const [type, bytes] of files) assert.equal(typesOf(bytes), type);
  });

  it('knows gzip, and calls what nothing fits unknown', () => {
    assert.equal(typesOf(gzipOf('x')), 'gzip');
    assert.equal(typesOf(''), 'unknown');
    assert.equal(typesOf('hello'), 'unknown');
    assert.equal(typesOf(Buffer.alloc(5000)), 'unknown');
    assert.equal(typesOf(EICAR, 'eicar.exe'), 'unknown');
  });

  it('tells programs from libraries, .NET and packers', () => {
    assert.equal(typesOf(peOf(['.text'])), 'exe');
    assert.equal(typesOf(peOf(['.text'], { dll: true })), 'dll');
    assert.equal(typesOf(peOf(['.text'], { clr: true })), 'exe .net');
    assert.equal(typesOf(peOf(['UPX0', 'UPX1'])), 'exe upx');
    assert.equal(typesOf(peOf(['.aspack', '.adata'])), 'exe aspack');
    assert.equal(typesOf(peOf(['.petite'])), 'exe petite');
    assert.equal(
      typesOf('MZ is also how a letter may begin, and it goes on for a while like this, quite a while.'),
      'unknown',
    );
  });

  it('tells Office, Hangul and installer files apart, in zip and in OLE2', () => {
    const types = { name: '[Content_Types].xml', data: '<Types/>' };
    assert.equal(typesOf(zipOf([types, { name: 'word/document.xml' }])), 'msofficex');
    assert.equal(typesOf(zipOf([{ name: 'xl/workbook.xml' }, types])), 'msofficex');
    assert.equal(typesOf(zipOf([{ name: 'META-INF/MANIFEST.MF' }])), 'zip');
    assert.equal(typesOf(zipOf([{ name: 'mimetype', method: 0, data: 'application/hwp+zip' }])), 'hwp');
    assert.equal(typesOf(ole2Of(['WordDocument'])), 'msoffice');
    assert.equal(typesOf(ole2Of(['FileHeader', 'DocInfo'])), 'hwp');
    assert.equal(typesOf(ole2Of([], '84100c0000000000c000000000000046')), 'msi');
  });

  it('says what needs a password', () => {
    assert.equal(typesOf(ole2Of(['EncryptionInfo', 'EncryptedPackage'])), 'msoffice (encrypted)');
    assert.equal(typesOf(ole2Of(['a', 'b', 'c', 'EncryptionInfo', 'EncryptedPackage'])), 'msoffice (encrypted)');
    assert.equal(typesOf(zipOf([{ name: 'a' }, { name: 'b', flags: 1 }])), 'zip (encrypted)');
    assert.equal(typesOf('%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<</Encrypt 5 0 R>>'), 'pdf (encrypted)');
    assert.equal(typesOf(`%PDF-1.7\n${' '.repeat(200_000)}\ntrailer\n<</Encrypt 5 0 R>>`), 'pdf (encrypted)');
    assert.equal(typesOf('%PDF-1.7\n(/Encrypt is a word)'), 'pdf');
    assert.equal(typesOf(hex('526172211a0700 cf90 73 8000 0d00 000000000000')), 'rar (encrypted)');
    assert.equal(typesOf(hex('526172211a070100 00000000 02 04 00')), 'rar (encrypted)');
  });

  it('knows tar with and without a magic', () => {
    assert.equal(typesOf(tarOf({ name: 'a' })), 'tar');
    assert.equal(typesOf(tarOf({ name: 'a', v7: true })), 'tar');
    assert.equal(typesOf(tarOf({ name: 'a', v7: true, badChecksum: true })), 'unknown');
  });

  it('knows tar whose first header is wrong, and behind blocks that readers skip', () => {
    assert.equal(typesOf(tarOf({ name: 'a', badChecksum: true }, { name: 'b' })), 'tar');
    assert.equal(typesOf(Buffer.concat([Buffer.alloc(1024), tarOf({ name: 'a' })])), 'tar');
    assert.equal(typesOf(Buffer.concat([Buffer.alloc(512, 'x'), tarOf({ name: 'a' })])), 'tar');
    assert.equal(typesOf(Buffer.concat([Buffer.alloc(512, 'x'), tarOf({ name: 'a', badChecksum: true })])), 'unknown');
  });

  it('knows a zip whose first member is damaged and whose end is not the end', () => {
    const zip = zipOf([{ name: 'a' }, { name: 'b' }]);
    zip[0] = 0xff;
    assert.equal(typesOf(Buffer.concat([zip, Buffer.alloc(9)])), 'zip');
  });

  it('knows a disk image by its end and MP3 by three frames', () => {
    const image = Buffer.alloc(4096);
    image.write('koly', 4096 - 512);
    image.writeUInt32BE(4, 4096 - 508);
    image.writeUInt32BE(512, 4096 - 504);
    assert.equal(typesOf(image), 'dmg');
    const frame = Buffer.alloc(417);
    Buffer.from('fffb9000', 'hex').copy(frame);
    assert.equal(typesOf(Buffer.concat([frame, frame, frame])), 'mp3');
    assert.equal(typesOf(Buffer.concat([frame, frame])), 'unknown');
  });

  it('ARC-043 ARC-044 gives a polyglot all its types', () => {
    const zip = zipOf([{ name: 'a', data: EICAR }]);
    assert.equal(typesOf(Buffer.concat([latin('\x89PNG\r\n\x1a\n'), zip])), 'png zip');
    assert.equal(typesOf(Buffer.concat([peOf(['.text']), zip])), 'exe zip');
    assert.equal(typesOf(Buffer.concat([peOf(['.text']), zip, Buffer.alloc(5000, 'signature')])), 'exe zip');
    assert.equal(typesOf(Buffer.concat([Buffer.from('%PDF-1.4\n'), zip])), 'pdf zip');
    assert.equal(typesOf(Buffer.concat([Buffer.from('GIF89a'), Buffer.from('%PDF-1.4\n')])), 'gif pdf');
    assert.equal(typesOf(Buffer.concat([Buffer.alloc(1000, 'x'), Buffer.from('%PDF-1.4\n')])), 'pdf');
    assert.equal(typesOf(Buffer.concat([Buffer.from('<html><body>'), zip])), 'zip html');
  });

  it('does not take an archive that holds a zip for a zip', () => {
    assert.equal(typesOf(tarOf({ name: 'a.zip', data: zipOf([{ name: 'a' }]) })), 'tar');
  });
});

describe('kinds of text', () => {
  it('knows each by its own syntax', () => {
    const texts: [string, string][] = [
      ['html', '<!DOCTYPE html>\n<title>x</title>'],
      ['html', '\n <HTML lang=en>'],
      ['html', '\ufeff<html>'],
      ['hta', '<hta:application id=x>'],
      ['jnlp', '<?xml version="1.0"?>\n<jnlp spec="1.0">'],
      ['registry', 'REGEDIT4\r\n\r\n[HKEY_CURRENT_USER]'],
      ['bat', '@echo off\r\ndel x'],
      ['shellscript', '#!/bin/sh\nls'],
      ['shellscript', '#!/usr/bin/env -S bash\nls'],
      ['python', '#!/usr/bin/python3\nprint()'],
      ['python', 'import os\n\ndef main():\n    return os.name\n'],
      ['javascript', 'var x = new ActiveXObject("WScript.Shell");\nfunction run() {\n}\n'],
      ['c/cpp', '#include <stdio.h>\nint main(void) {\n'],
      ['genscript', '#!/usr/bin/perl -w\nprint'],
      ['genscript', '<?php echo 1;'],
      ['genscript', 'Option Explicit\nDim x\nSet x = CreateObject("WScript.Shell")\n'],
      ['mime', 'MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello'],
      ['mime', 'From: a@x\r\nTo: b@y\r\nSubject: hello\r\n\r\nhello'],
      ['uue', 'begin 644 cat.txt\n#0V%T\n`\nend\n'],
      ['binhex', '(This file must be converted with BinHex 4.0)\n:'],
      [
        'base64',
        `${Buffer.from('any bytes at all, enough of them to be two lines of base64').toString('base64').slice(0, 76)}\nAAAA\n`,
      ],
      ['jad', 'MIDlet-Name: x\nMIDlet-Jar-URL: x.jar\n'],
    ];
    for (const [type, text] of texts) assert.equal(typesOf(text), type, text);
    assert.equal(typesOf(Buffer.from('\ufeffWindows Registry Editor Version 5.00\r\n', 'utf16le')), 'registry');
  });

  it('leaves prose, mail words and data alone', () => {
    const texts = [
      'We import goods from Spain.\nThe function of this letter is to return your call.',
      'Dear Sir,\nan <b>important</b> matter: class struggle.\n',
      'a,b,c\n1,2,3\n',
      '{"name": "x", "function": "return"}',
      'Note: this\nTo: be\n\nor not',
      'abcdefghijklmnop',
      '# Heading\n\nUse `#include` and `var x = 1`.',
    ];
    for (const text of texts) assert.equal(typesOf(text), 'unknown', text);
  });

  it('asks for less where the name says the same', () => {
    assert.equal(typesOf('import os\n', 'a.py'), 'python');
    assert.equal(typesOf('import os\n', 'a.txt'), 'unknown');
    assert.equal(typesOf('var x = 1;\n', 'a.js'), 'javascript');
    assert.equal(typesOf('nothing of the kind', 'a.js'), 'unknown');
  });
});

describe('typesByName', () => {
  it('goes by the last ending, whatever its case and what Windows drops behind it', () => {
    assert.deepEqual(typesByName('a.b.ZIP'), ['zip']);
    assert.deepEqual(typesByName('run.exe. '), ['exe']);
    assert.deepEqual(typesByName('dir.zip\\leaf'), []);
    assert.deepEqual(typesByName('a.tgz'), ['tar', 'gzip']);
    assert.deepEqual(typesByName('.docx'), ['msofficex']);
    assert.deepEqual(typesByName(''), []);
    assert.deepEqual(typesByName('constructor'), []);
  });
});

describe('headDecides', () => {
  it('tells the types that only the whole file shows', () => {
    for (const type of ['iso', 'dmg', 'zip', 'msofficex', 'msi', 'unknown']) assert.equal(headDecides(type), false);
    for (const type of ['exe', 'rar', 'html', 'gzip', 'tar']) assert.equal(headDecides(type), true);
  });
});
