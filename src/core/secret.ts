/** Credentials that open sealed SMB sessions and verify signed ones. They cross threads as they are, and are never logged. */

export type Secret =
  | {
      readonly kind: 'account';
      readonly user: string;
      /** Undefined: whatever domain the client names. */
      readonly domain: string | undefined;
      /** MD4 of the password in UTF-16LE, where that is what is known of it: 16 bytes. */
      readonly password: string | { readonly ntHash: Uint8Array };
    }
  | {
      readonly kind: 'session';
      /** SMB2's SessionId as it lies on the wire, 8 bytes. */
      readonly id: Uint8Array;
      /** Its session key ([MS-SMB2] 3.2.1.3), 16 bytes or as many as Kerberos gave. */
      readonly key: Uint8Array;
    };
