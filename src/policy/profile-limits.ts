/**
 * What a profile's limits say of a finished tree. Inspection may have read on where the profile stops (a capture costs nobody a
 * connection): the verdict is the same as where it did stop, so that live and recorded traffic are judged alike. A virus that was found
 * all the same stays found.
 */
import type { Finding, Inspected, UnscannableReason } from '../core/file.js';
import type { InspectionLimits } from './inspection-limits.js';
import { isMessage } from './objects.js';

/** The tree with a finding wherever a limit is crossed; nodes that cross none are the same objects. */
export function underLimits(root: Inspected, limits: InspectionLimits): Inspected {
  return limited(root, limits, 0, false);
}

/** `depth`: archives above it. `member`: it came out of an archive, so the limits of uncompressed files hold. */
function limited(node: Inspected, limits: InspectionLimits, depth: number, member: boolean): Inspected {
  const message = isMessage(node);
  const crossed: UnscannableReason[] = [];
  if (node.info.size > (member ? limits.uncompressedOversize : limits.oversize))
    crossed.push(member ? 'uncompressed-oversize' : 'oversize');
  if (!message && node.children.length > 0 && depth >= limits.nesting) crossed.push('nested');
  if (!limits.scanBzip2 && node.info.types.includes('bzip2')) crossed.push('unhandled');

  let changed = false;
  const children = node.children.map((child) => {
    const inner = limited(child, limits, message ? depth : depth + 1, member || !message);
    if (inner !== child) changed = true;
    return inner;
  });
  const findings: Finding[] = crossed
    .filter((reason) => !node.findings.some((finding) => finding.kind === 'unscannable' && finding.reason === reason))
    .map((reason) => ({ kind: 'unscannable', reason, detail: 'over the limit of the profile' }));
  if (findings.length === 0 && !changed) return node;
  return { info: node.info, findings: [...node.findings, ...findings], children: changed ? children : node.children };
}
