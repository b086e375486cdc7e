// The examples of [MS-NLMP] 4.2, with their names for things.
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import type { Secret } from '../../src/core/secret.js';
import { decoderContext } from '../../src/testing/index.js';
import { keyExchangeKey, lmHash, response } from './ntlm.js';
import { sessionKey } from './ntlmssp.js';

const { crypto } = decoderContext();
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const CHALLENGE = hex('0123456789abcdef');
const RANDOM_KEY = Buffer.alloc(16, 0x55);
const NT_HASH = hex('a4f49c406510bdcab6824ee7c30fd852');
const PASSWORD: Secret = { kind: 'account', user: 'User', domain: undefined, password: 'Password' };
const HASH: Secret = { kind: 'account', user: 'User', domain: undefined, password: { ntHash: NT_HASH } };
const WRONG: Secret = { kind: 'account', user: 'User', domain: undefined, password: 'password' };

const V1 = {
  user: 'User',
  domain: 'Domain',
  lmResponse: hex('98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13'),
  ntResponse: hex('67c43011f30298a2ad35ece64f16331c44bdbed927841f94'),
};

test('NTLMv1 gives the keys of 4.2.2', () => {
  assert.deepEqual(lmHash(crypto, 'Password'), hex('e52cac67419a9a224a3b108f3fa6cb6d'));
  assert.deepEqual(response(crypto, NT_HASH, CHALLENGE), V1.ntResponse);
  assert.deepEqual(response(crypto, lmHash(crypto, 'Password'), CHALLENGE), V1.lmResponse);
  const base = hex('d87262b0cde4b1cb7499becccdf10784');
  assert.deepEqual(keyExchangeKey(crypto, [WRONG, PASSWORD], CHALLENGE, V1), base);
  assert.deepEqual(keyExchangeKey(crypto, [HASH], CHALLENGE, V1), base);
  assert.equal(keyExchangeKey(crypto, [WRONG], CHALLENGE, V1), undefined);
  const exchanged = (flags: number, encrypted: string, secret = PASSWORD): Buffer | undefined =>
    sessionKey(crypto, [secret], CHALLENGE, { ...V1, flags: flags | 0x4000_0000, encryptedKey: hex(encrypted) });
  assert.deepEqual(exchanged(0, '518822b1b3f350c8958682ecbb3e3cb7'), RANDOM_KEY);
  assert.deepEqual(exchanged(0x40_0000, '7452ca55c225a1ca04b48fae32cf56fc'), RANDOM_KEY);
  assert.deepEqual(exchanged(0x80, '4cd7bb57d697ef9b549f02b8f9b37864'), RANDOM_KEY);
  assert.equal(exchanged(0x80, '4cd7bb57d697ef9b549f02b8f9b37864', HASH), undefined, 'needs the password');
});

test('NTLMv1 with extended session security gives the key of 4.2.3', () => {
  const answer = {
    ...V1,
    lmResponse: Buffer.concat([Buffer.alloc(8, 0xaa), Buffer.alloc(16)]),
    ntResponse: hex('7537f803ae367128ca458204bde7caf81e97ed2683267232'),
  };
  const key = hex('eb93429a8bd952f8b89c55b87f475edc');
  for (const secret of [PASSWORD, HASH])
    assert.deepEqual(keyExchangeKey(crypto, [secret], CHALLENGE, answer, 0x8_0000), key);
  assert.equal(keyExchangeKey(crypto, [PASSWORD], CHALLENGE, answer), undefined);
});

test('NTLMv2 gives the keys of 4.2.4', () => {
  const names = `02000c00${Buffer.from('Domain', 'utf16le').toString('hex')}01000c00${Buffer.from('Server', 'utf16le').toString('hex')}`;
  const temp = hex(`0101000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000 ${names} 00000000 00000000`);
  const answer = {
    ...V1,
    lmResponse: hex('86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa'),
    ntResponse: Buffer.concat([hex('68cd0ab851e51c96aabc927bebef6a1c'), temp]),
  };
  for (const secret of [PASSWORD, HASH]) {
    assert.deepEqual(keyExchangeKey(crypto, [secret], CHALLENGE, answer), hex('8de40ccadbc14a82f15cb0ad0de95ca3'));
    const authenticate = { ...answer, flags: 0x4000_0000, encryptedKey: hex('c5dad2544fc9799094ce1ce90bc9d03e') };
    assert.deepEqual(sessionKey(crypto, [secret], CHALLENGE, authenticate), RANDOM_KEY);
  }
  assert.equal(keyExchangeKey(crypto, [WRONG], CHALLENGE, answer), undefined);
});
