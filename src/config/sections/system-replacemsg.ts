/** `config system replacemsg mail "email-virus"`: the group and the type stand in the section's name. */
import {
  BUILT_IN_MESSAGES,
  MESSAGE_BUFFER,
  MESSAGE_TAGS,
  MESSAGE_TYPES,
  type MessageGroup,
  type MessageType,
  type ReplacementMessages,
} from '../../policy/replacement-messages.js';
import { didYouMean, shown } from '../did-you-mean.js';
import { choice, type Reader, text } from '../options.js';
import { readSection, singleSection } from '../section.js';
import { pathText, type SectionNode } from '../tree.js';

const message = singleSection({
  buffer: text(MESSAGE_BUFFER),
  header: choice(['none', 'http', '8bit'], 'none'),
  format: choice(['none', 'text', 'html'], 'none'),
});

/** Groups that FortiOS has and that we never send from. */
// biome-ignore format: a list of words.
const OTHER_GROUPS: readonly string[] = [
  'admin', 'alertmail', 'auth', 'automation', 'custom-message', 'fortiguard-wf', 'http', 'icap', 'spam', 'sslvpn', 'traffic-quota', 'webproxy',
  'device-detection-portal', 'captive-portal-dflt', 'ec', 'nntp', 'im', 'mms', 'mm1', 'mm3', 'mm4', 'mm7', 'ztna',
];

/** `nodes`: every section whose name begins with `system replacemsg`. */
export function readReplacementMessages(nodes: readonly SectionNode[], reader: Reader): ReplacementMessages {
  const messages: Record<MessageType, string> = { ...BUILT_IN_MESSAGES };
  for (const node of nodes) {
    const [, , group, type, extra] = node.path;
    const path = pathText(node);
    if (group === undefined || type === undefined || extra !== undefined) {
      reader.error(
        node.at,
        `"config ${path}" needs a group and a type, such as "config system replacemsg mail email-virus"`,
      );
      continue;
    }
    if (!Object.hasOwn(MESSAGE_TYPES, group.text)) {
      if (OTHER_GROUPS.includes(group.text))
        reader.warning(
          node.at,
          `"config system replacemsg ${group.text} …" skipped: inspectd sends none of these`,
          `replacemsg ${group.text}`,
        );
      else
        reader.error(
          group,
          `there is no group ${shown(group.text)} of replacement messages${didYouMean(group.text, [...Object.keys(MESSAGE_TYPES), ...OTHER_GROUPS])}`,
        );
      continue;
    }
    const types: readonly string[] = MESSAGE_TYPES[group.text as MessageGroup];
    if (!types.includes(type.text)) {
      const near = didYouMean(type.text, types);
      if (near === '') reader.warning(node.at, `"config ${path}" skipped: inspectd never sends it`, path);
      else reader.error(type, `group ${shown(group.text)} has no message ${shown(type.text)}${near}`);
      continue;
    }
    const { buffer } = readSection(message, [node], path, reader);
    if (buffer === undefined) continue;
    for (const [, tag = ''] of buffer.matchAll(/%%([A-Z_]+)%%/g))
      if (!(MESSAGE_TAGS as readonly string[]).includes(tag))
        reader.warning(node.at, `"config ${path}": the tag %%${tag}%% means nothing here and stays as it is written`);
    messages[type.text as MessageType] = buffer;
  }
  return messages;
}
