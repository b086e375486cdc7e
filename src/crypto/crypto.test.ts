import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { createCrypto } from './crypto.js';

const crypto = createCrypto();
const hex = (text: string) => Buffer.from(text, 'hex');
const text = (plain: string) => Buffer.from(plain, 'latin1');

test('MD4 gives the digests of RFC 1320', () => {
  for (const [message, digest] of [
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      'e33b4ddc9c38f2199c3e7b164fcc0536',
    ],
  ] as const)
    assert.equal(crypto.digest('md4', [text(message)]).toString('hex'), digest, message);
});

test('RC4 gives the streams of its known vectors', () => {
  assert.equal(crypto.rc4(text('Key'), text('Plaintext')).toString('hex'), 'bbf316e8d940af0ad3');
  assert.equal(crypto.rc4(text('Wiki'), text('pedia')).toString('hex'), '1021bf0420');
});

test('DES gives the blocks of its known vectors', () => {
  assert.equal(crypto.des(hex('133457799bbcdff1'), hex('0123456789abcdef')).toString('hex'), '85e813540f0ab405');
  // Half of an empty password's LM hash.
  assert.equal(crypto.des(Buffer.alloc(8), text('KGS!@#$%')).toString('hex'), 'aad3b435b51404ee');
});

test('AES-CMAC gives the tags of RFC 4493', () => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const message = hex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  );
  for (const [length, tag] of [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ] as const)
    assert.equal(crypto.cmac(key, [message.subarray(0, length)]).toString('hex'), tag);
});

test('what was sealed opens, and not with one bit changed', () => {
  for (const mode of ['gcm', 'ccm'] as const)
    for (const length of [16, 32]) {
      const key = Buffer.alloc(length, 7);
      const nonce = Buffer.alloc(mode === 'gcm' ? 12 : 11, 1);
      const { sealed, tag } = crypto.seal(mode, key, nonce, text('header'), text('message'));
      assert.equal(crypto.open(mode, key, nonce, text('header'), sealed, tag)?.toString(), 'message');
      assert.equal(crypto.open(mode, key, nonce, text('Header'), sealed, tag), undefined);
      assert.equal(crypto.open(mode, Buffer.alloc(5), nonce, text('header'), sealed, tag), undefined);
    }
});
