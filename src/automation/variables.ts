/** `%%log%%`, `%%log.srcip%%` and the like in messages, bodies, headers and addresses. What a peer wrote cannot get out of the place where it is put. */
import type { Incident } from './incident.js';

/** What the text is, and so how a value is written in it. */
export type Place = 'text' | 'json' | 'url' | 'header';

/** Characters of one value. */
const VALUE = 8_192;

export function filledIn(text: string, incident: Incident, place: Place): string {
  return text.replace(/%%log(?:\.([a-z0-9_]{1,32}))?%%/g, (_, name: string | undefined) => {
    const value =
      name === undefined ? incident.line : Object.hasOwn(incident.fields, name) ? incident.fields[name] : '';
    return written((value ?? '').slice(0, VALUE), place);
  });
}

function written(value: string, place: Place): string {
  switch (place) {
    case 'text':
      return value;
    case 'json':
      return JSON.stringify(value).slice(1, -1);
    case 'url':
      return encodeURIComponent(value.replace(/\p{Surrogate}/gu, '\ufffd'));
    case 'header':
      return value.replace(/[^\x20-\x7e]/g, ' ');
  }
}
