/**
 * One file under inspection: a root that a decoder writes, or a child that an extractor or unpacker writes. Its bytes go to an
 * extractor as they come (a message), or are collected and, when it ends, hashed, typed, scanned and taken apart. All of that
 * happens within `end` or `abort`, but for scanners and unpackers whose work leaves the thread; the file keeps its bytes until
 * the last of them is done.
 * What a scanner or unpacker throws is stated as `engine-error`: a failed stage is never a clean file.
 */
import { Buffer } from 'node:buffer';
import type {
  AbortReason,
  Budget,
  ChildMeta,
  ChildStream,
  Container,
  Content,
  Extractor,
  FileId,
  FileInfo,
  FileMeta,
  FileState,
  FileStream,
  Finding,
  Inspected,
  MailHeaders,
  Scanner,
  Stage,
  Unpacker,
  UnscannableReason,
} from '../core/file.js';
import { Collection, type Storage } from './collection.js';
import { type Digested, isPending, RunningSha256 } from './digest.js';
import { Holes } from './holes.js';
import { isHarmlessWhenRead, isMimeAnomaly } from './mime/anomalies.js';
import { eachPiece } from './pieces.js';
import { storeAsText } from './stored-text.js';
import { ArchiveBudget, type Crossing, crossed, type FileTree, UNBOUNDED } from './tree.js';

/** What a file is by its content. */
export interface Identity {
  /** FortiOS type names, the most telling first; `unknown` alone when none fits. */
  readonly types: readonly string[];
  readonly encrypted?: boolean;
}
export type Identify = (content: Content, name: string | undefined) => Identity;

/** What files are inspected with. An extractor's name is the type of what it takes apart (`mime`): that content is not there to be typed. */
export interface Tools {
  readonly extractors: readonly Extractor[];
  readonly unpackers: readonly Unpacker[];
  readonly scanners: readonly Scanner[];
  readonly identify: Identify;
  /** Reads messages that have several readings; without it they have one and are malformed. */
  readonly readings?: MessageReader;
  /** Hash what extractors take apart, too. With `keep`, such files are collected for it. */
  readonly hashContainers?: boolean;
  /** Called for each file that ended, with its bytes, before they are scanned. It may not keep `content`. What it throws is an engine error of the file. */
  readonly keep?: (sha256: string, content: Content) => void;
}

export interface MessageReader {
  readonly name: string;
  /** The largest message that is read in every way; and the largest that is where it only becomes ambiguous later on. */
  readonly most: number;
  readonly kept: number;
  /** Every reading becomes a file of the container. False when not all could be made, and a finding says why. */
  read(content: Content, container: Container): Promise<boolean>;
}

/** Given a file's bytes when it ends, with what is known of it by then; it may not keep `content`. */
export type ContentTaker = (content: Content, info: FileInfo) => void;

/**
 * Given the bytes of a file in which, or in what came out of which, viruses were found: by then all of that is known. The file keeps its bytes
 * until the promise settles, and is not done before. A failure is the taker's own to tell.
 */
export type InfectedTaker = (content: Content, info: FileInfo, viruses: ReadonlySet<string>) => void | Promise<void>;

/** A root file, as its decoder and engine see it. */
export interface RootFile extends FileStream {
  /** Something about it that only the engine knows (overlapping segments); before its end. */
  report(finding: Finding): void;
}

/** Names of one file that are looked at beside its own. */
const OTHER_NAMES = 16;
const NO_BYTES = Buffer.alloc(0);
/** What is known of a member of an archive with a hole. */
const HOLED: Finding = { kind: 'unscannable', reason: 'gap', detail: 'of the archive' };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Where in its tree a file lies. */
interface Place {
  readonly tree: FileTree;
  readonly parent: FileNode | undefined;
  /** Among messages and among archives: how many lie around it. */
  readonly mimeDepth: number;
  readonly nesting: number;
  /** The budget of the archive that it is a member of. Parts of a message were counted when the message was unpacked. */
  readonly budget: ArchiveBudget | undefined;
  /** It is a reading of an ambiguous message, or came out of one: which. */
  readonly reading: string | undefined;
  /** Of a root: who wants its bytes. */
  readonly ended: ContentTaker | undefined;
  /** Of the whole tree: who wants the bytes of infected files. */
  readonly infected: InfectedTaker | undefined;
}

export class FileNode implements RootFile, ChildStream {
  readonly id: FileId;
  readonly inspected: Inspected;
  readonly #info: Mutable<FileInfo>;
  readonly #children: Inspected[] = [];
  readonly #findings: Finding[] = [];
  readonly #place: Place;
  readonly #tools: Tools;
  readonly #storage: Storage;
  readonly #nextId: () => FileId;

  #extractor: Extractor | undefined;
  /** It is collected first and taken apart when it has ended. */
  #collects = false;
  #stage: Stage | undefined;
  #container: NodeContainer | undefined;
  #collection: Collection | undefined;
  /** The collection is of a message that an extractor reads: kept in case it has to be read again. */
  #rereadable = false;
  #hash: RunningSha256 | undefined;

  #ended = false;
  /** Set once bytes are no longer taken: a limit, or a failure of ours. */
  #cut = false;
  /** Bytes that came and were not kept. */
  #notKept = 0;
  /** Zeros that stand for missing bytes, to be put in front of the next bytes. */
  #owed = 0;
  #holes: Holes | undefined;
  /** Position in the file less position in what is collected, for positions from `#floor` on; what lies before it comes too late. */
  #shift = 0;
  #floor = 0;

  /** Findings of each scanner, then of the container: in this order whoever answers first. */
  readonly #scanned: (readonly Finding[])[] = [];
  readonly #contained: Finding[] = [];
  #waiting = 0;

  // Where somebody wants infected files.
  /** What the collection holds, once it is sealed. */
  #content: Content | undefined;
  /** Files that came out of this one and are not done; what was found in those that are. */
  #inner = 0;
  readonly #viruses = new Set<string>();
  #settled = false;

  constructor(meta: FileMeta, tools: Tools, storage: Storage, nextId: () => FileId, place: Place, child?: ChildMeta) {
    this.id = nextId();
    this.#tools = tools;
    this.#storage = storage;
    this.#nextId = nextId;
    this.#place = place;
    const parent = place.parent;
    this.#info = {
      id: this.id,
      meta,
      parent: parent?.inspected.info,
      depth: parent === undefined ? 0 : parent.inspected.info.depth + 1,
      types: ['unknown'],
      size: 0,
      sha256: undefined,
      state: 'complete',
      encrypted: false,
    };
    if (child?.otherNames !== undefined) this.#info.otherNames = child.otherNames;
    if (child?.attachment !== undefined) this.#info.attachment = child.attachment;
    if (place.reading !== undefined) this.#info.reading = place.reading;
    if (child?.span !== undefined) this.#info.span = { ...child.span, end: child.span.body };
    this.inspected = { info: this.#info, findings: this.#findings, children: this.#children };
    place.tree.opened();
    // Nothing takes an encoding off yet; what was scanned would not be what the reader sees.
    if (meta.encoding !== undefined)
      this.report({ kind: 'unscannable', reason: 'unhandled', detail: `encoding ${meta.encoding}` });
    this.#choose(child ?? meta);
  }

  /** Bytes that came so far. */
  get size(): number {
    return this.#notKept + (this.#collection?.size ?? 0);
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length <= 0 || this.#ended) return;
    const taken = this.#cut ? 0 : this.#allowed(length);
    if (taken > 0) this.#feed(chunk, start, start + taken);
    if (taken < length) this.#notKept += length - taken;
  }

  writeAt(at: number, chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length <= 0 || this.#ended) return;
    if (this.#stage !== undefined) {
      // What was read as a stream cannot be read again.
      if (at > this.size) this.gap(at - this.size);
      else if (at < this.size) this.#lose('gap', 'rewritten while it was read');
      this.write(chunk, start, end);
      return;
    }
    // A message that comes at positions is collected, and taken apart when it is whole.
    this.#collection ??= new Collection(this.#storage);
    const collection = this.#collection;
    if (this.#cut) {
      this.#notKept += length;
      return;
    }
    if (at < this.#floor) {
      this.#lose('gap', 'came too late');
      if (at + length > this.#floor) this.writeAt(this.#floor, chunk, start + this.#floor - at, end);
      return;
    }
    this.#settleGap();
    let position = at - this.#shift;
    if (position > collection.size) position = this.#leaveOut(collection.size, position, at);
    const grown = Math.max(0, position + length - collection.size);
    const allowed = grown === 0 ? 0 : this.#allowed(grown);
    const taken = length - grown + allowed;
    this.#holes?.fill(position, position + taken);
    if (taken > 0) this.#kept(collection.place(position, chunk, start, start + taken), taken);
    if (taken < length) this.#notKept += length - taken;
  }

  reserve(length: number): number {
    if (this.#ended || this.#cut || this.#stage !== undefined || this.#extractor !== undefined || this.#owed > 0)
      return -1;
    this.#collection ??= new Collection(this.#storage);
    return this.#collection.reserve(length);
  }

  grew(length: number): void {
    const taken = this.#allowed(length);
    this.#collection!.grew(taken);
    this.#notKept += length - taken;
  }

  gap(length: number): void {
    if (this.#ended) return;
    this.#lose('gap', '');
    if (this.#cut) return;
    this.#begin();
    if (this.#stage !== undefined) {
      this.#stage.gap(length);
      return;
    }
    // What follows keeps its place where the missing bytes are few; else it simply follows.
    const known = this.#owed + length;
    if (length > 0 && (this.#holes?.total ?? 0) + known <= this.#place.tree.limits.holeBytes) this.#owed = known;
    else {
      this.#shift += length;
      this.#floor = (this.#collection?.size ?? 0) + this.#owed + this.#shift;
    }
  }

  end(spanEnd?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    const span = this.#info.span;
    if (span !== undefined) this.#info.span = { ...span, end: spanEnd ?? this.#place.parent?.size ?? span.body };
    this.#begin();
    if ((this.#holes?.total ?? 0) > 0) this.#lose('gap', 'bytes that never came');
    this.#waiting++;
    if (this.#stage !== undefined) this.#finishStage(this.#stage);
    if (this.#collection !== undefined) this.#inspect(this.#collection);
    else if (this.#stage !== undefined && this.#mayReread() && this.#ambiguous())
      this.contain({ kind: 'unscannable', reason: 'limit', detail: 'readingBytes' });
    this.#settle();
  }

  abort(reason: AbortReason): void {
    if (this.#ended) return;
    switch (reason) {
      case 'gap':
        this.#lose('gap', '');
        break;
      case 'reset':
        // Nothing of it was asked for: it was not cut.
        if (this.size > 0 || !partOfPartial(this.#info)) this.#lose('truncated', '');
        break;
      case 'rewritten':
        this.#state('truncated');
        this.report({ kind: 'unscannable', reason: 'overlap', detail: 'its bytes were overwritten' });
        break;
    }
    this.end();
  }

  malformed(code: string): void {
    this.report({ kind: 'malformed', code });
  }

  renamed(name: string): void {
    const { otherNames = [] } = this.#info;
    if (otherNames.length < OTHER_NAMES && !otherNames.includes(name)) this.#info.otherNames = [...otherNames, name];
  }

  /** The same finding is kept once, and of many (each member of an archive has a password) the first: it is not clean by one already. */
  report(finding: Finding): void {
    this.#note(this.#findings, finding);
  }

  /** For the file's container: what an extractor or unpacker says of it. */
  contain(finding: Finding): void {
    if (finding.kind === 'unscannable' && finding.reason === 'encrypted') this.#info.encrypted = true;
    this.#note(this.#contained, finding);
  }

  /** Bytes of it, or of an archive around it, were never seen. */
  get holed(): boolean {
    return this.#info.state === 'gap' || this.#findings.includes(HOLED);
  }

  headers(headers: MailHeaders): void {
    this.#info.headers = headers;
  }

  /** Opens a file that comes out of this one. */
  openChild(child: ChildMeta, budget: ArchiveBudget | undefined): FileNode {
    const { tree, mimeDepth, nesting } = this.#place;
    const meta: FileMeta = {
      name: child.name,
      direction: this.#info.meta.direction,
      ...(child.declaredType !== undefined && { declaredType: child.declaredType }),
      ...(child.declaredSize !== undefined && { declaredSize: child.declaredSize }),
      ...(child.charset !== undefined && { charset: child.charset }),
      ...(child.path !== undefined && { path: child.path }),
    };
    const archived = budget !== undefined;
    const place: Place = {
      tree,
      parent: this,
      mimeDepth: archived ? mimeDepth : mimeDepth + 1,
      nesting: archived ? nesting + 1 : nesting,
      budget,
      reading: child.reading ?? this.#place.reading,
      ended: undefined,
      infected: this.#place.infected,
    };
    const node = new FileNode(meta, this.#tools, this.#storage, this.#nextId, place, child);
    this.#children.push(node.inspected);
    this.#inner++;
    return node;
  }

  /** Which way its bytes go: decided by what is known of it before the first. */
  #choose(meta: FileMeta | ChildMeta): void {
    const extractor = this.#tools.extractors.find((one) => one.accepts(meta));
    if (extractor === undefined) return;
    // What only its name calls a message may be anything: it is inspected as a file, and taken apart as well.
    this.#collects = !extractor.accepts({ ...meta, name: undefined });
    if (this.#place.mimeDepth > this.#place.tree.limits.mimeDepth) {
      this.report({ kind: 'unscannable', reason: 'nested', detail: 'mimeDepth' });
      return;
    }
    this.#extractor = extractor;
  }

  /** The first bytes, or the end, are here. */
  #begin(): void {
    if (this.#stage !== undefined || this.#collection !== undefined) return;
    const extractor = this.#extractor;
    if (extractor === undefined || this.#collects) {
      this.#collection = new Collection(this.#storage);
      return;
    }
    this.#info.types = [extractor.name];
    this.#stage = this.#beginStage(extractor);
    const { hashContainers, keep } = this.#tools;
    const kept = hashContainers === true && keep !== undefined;
    if (hashContainers === true && !kept) this.#hash = new RunningSha256();
    if (kept || this.#mayReread()) this.#collection = new Collection(this.#storage, !kept);
    this.#rereadable = this.#collection !== undefined && !kept;
  }

  /** A large message is kept only when it has shown by then that it will be read again: keeping costs a tenth of reading it. */
  #staysRereadable(size: number): boolean {
    const { kept, most } = this.#tools.readings!;
    return size <= (size > kept && this.#ambiguous() ? most : kept);
  }

  /** Readings are not read in every way again. */
  #mayReread(): boolean {
    return this.#tools.readings !== undefined && this.#place.reading === undefined;
  }

  #beginStage(extractor: Extractor): Stage {
    const nesting = this.#place.nesting;
    this.#container = new NodeContainer(this, this.#place.tree, { ...UNBOUNDED, nesting }, undefined);
    return extractor.begin(this.#container);
  }

  /** How many of `length` more bytes may be taken; cuts the file when that is not all. */
  #allowed(length: number): number {
    const { budget, tree } = this.#place;
    const fit = Math.max(0, Math.min(length, tree.limits.fileSize - this.size - this.#owed));
    if (fit < length) this.#limit({ reason: 'limit', detail: 'fileSize' });
    if (budget === undefined) return fit;
    const taken = budget.take(fit);
    if (taken < fit) this.#limit(budget.crossing!);
    return taken;
  }

  #feed(chunk: Buffer, start: number, end: number): void {
    this.#begin();
    const collection = this.#collection;
    if (this.#stage !== undefined) {
      this.#hash?.update(chunk, start, end);
      // Without a collection nothing else counts its bytes.
      if (collection === undefined) this.#notKept += end - start;
      this.#toStage(this.#stage, chunk, start, end);
    }
    if (collection === undefined) return;
    if (this.#rereadable && !this.#staysRereadable(this.size + end - start)) {
      this.#notKept += collection.size + end - start;
      this.#dropCollection();
      return;
    }
    this.#settleGap();
    const failure = collection.append(chunk, start, end);
    if (failure === undefined || !this.#rereadable) this.#kept(failure, end - start);
    else {
      // Too much is kept already: this message will have one reading.
      this.#notKept += collection.size + end - start;
      this.#dropCollection();
    }
  }

  #toStage(stage: Stage, chunk: Buffer, start: number, end: number): void {
    try {
      stage.write(chunk, start, end);
    } catch (error) {
      this.#failed(this.#extractor!.name, error);
      this.#cut = true;
    }
  }

  #kept(failure: { reason: 'limit' | 'engine-error'; detail: string } | undefined, length: number): void {
    if (failure === undefined) return;
    this.#notKept += length;
    this.#limit(failure);
  }

  /** Puts zeros where known bytes are missing. */
  #settleGap(): void {
    if (this.#owed === 0) return;
    const collection = this.#collection!;
    const at = collection.size;
    const end = at + this.#owed;
    this.#holes ??= new Holes();
    this.#holes.open(at, end);
    this.#owed = 0;
    this.#kept(collection.place(end, NO_BYTES, 0, 0), 0);
  }

  /** Bytes come at `position`, beyond the end: where they are put. The hole stays open, or is given up when there are too many. */
  #leaveOut(end: number, position: number, at: number): number {
    this.#holes ??= new Holes();
    const { holes, holeBytes } = this.#place.tree.limits;
    if (this.#holes.count < holes && this.#holes.total + position - end <= holeBytes) {
      this.#holes.open(end, position);
      return position;
    }
    this.#lose('gap', this.#holes.count < holes ? 'holeBytes' : 'holes');
    this.#shift += position - end;
    this.#floor = at;
    return end;
  }

  #note(findings: Finding[], finding: Finding): void {
    if (this.#place.reading !== undefined && isNoise(finding)) return;
    if (findings.length >= this.#place.tree.limits.findings && finding.kind !== 'infected') return;
    if (!findings.some((one) => isSame(one, finding))) findings.push(finding);
  }

  /** Stops taking bytes; what came is inspected at the end. */
  #limit(crossing: Crossing): void {
    this.#cut = true;
    this.#state('limit');
    this.report(crossed(crossing));
  }

  #lose(state: 'gap' | 'truncated', detail: string): void {
    this.#state(state);
    if (!this.#findings.some((finding) => finding.kind === 'unscannable' && finding.reason === state))
      this.report({ kind: 'unscannable', reason: state, detail });
  }

  /** The first thing that went wrong is the file's state. */
  #state(state: FileState): void {
    if (this.#place.reading !== undefined && state !== 'limit') return;
    if (this.#info.state === 'complete') this.#info.state = state;
  }

  #finishStage(stage: Stage): void {
    const complete = this.#info.state === 'complete' && this.#info.meta.partial !== true;
    this.#try(this.#extractor!.name, () => stage.finish(complete));
    this.#container!.close();
    this.#info.size = this.size;
    this.#info.sha256 = this.#hash?.digest();
  }

  #inspect(collection: Collection): void {
    const size = this.size;
    const { content, digest, failure } = collection.seal();
    this.#kept(failure, 0);
    this.#info.size = size;
    if (this.#rereadable) {
      this.#readEveryWay(content);
      return;
    }
    this.#content = content;
    this.#try('join', () => this.#place.ended?.(content, this.#info));
    const extractor = this.#extractor;
    const message = this.#stage !== undefined || (extractor !== undefined && !this.#collects);
    const scanned = !message && this.#isScanned(content, size);
    if (!isPending(digest)) this.#digested(content, digest, scanned);
    else {
      this.#waiting++;
      digest.whenDone((done) => {
        this.#digested(content, done, scanned);
        this.#settle();
      });
    }
    if (this.#stage !== undefined) this.#readEveryWay(content);
    else if (message) {
      this.#info.types = [extractor!.name];
      this.#extract(extractor!, content);
    } else if (scanned) this.#takeApart(content, extractor);
  }

  /** Says what it is, and whether it is looked into. */
  #isScanned(content: Content, size: number): boolean {
    const identity = this.#try('identify', () => this.#tools.identify(content, this.#info.meta.name));
    if (identity !== undefined) {
      this.#info.types = identity.types;
      this.#info.encrypted = identity.encrypted ?? false;
    }
    const oversize = this.#oversize(size);
    if (oversize !== undefined) this.report(crossed(oversize));
    return oversize === undefined;
  }

  /** Its bytes were hashed, and maybe searched: who waited for that may have it now. */
  #digested(content: Content, { sha256, searched, failure }: Digested, scanned: boolean): void {
    if (failure !== undefined) this.#kept(failure, 0);
    this.#info.sha256 = sha256;
    this.#try('keep', () => this.#tools.keep?.(sha256, content));
    if (scanned) this.#place.tree.aside(() => this.#scan(content, searched));
  }

  #takeApart(content: Content, extractor: Extractor | undefined): void {
    const apart = extractor ?? this.#extractorByContent();
    if (apart !== undefined) this.#extract(apart, content);
    // Of a file with a hole, what is stored is not known either.
    if (this.#info.meta.text === true && this.#info.state === 'complete') this.#storeAsText(content);
    this.#unpack(content);
  }

  #storeAsText(content: Content): void {
    const container = new NodeContainer(this, this.#place.tree, UNBOUNDED, undefined);
    this.#try('text', () => storeAsText(content, this.#info.meta.name, container));
    container.close();
  }

  /** Whether it is larger than what the profile wants scanned. */
  #oversize(size: number): Crossing | undefined {
    const { tree, nesting } = this.#place;
    const { bounds } = tree;
    if (bounds === undefined) return undefined;
    if (nesting > 0)
      return size > bounds.uncompressedOversize
        ? { reason: 'uncompressed-oversize', detail: 'over the limit of the profile' }
        : undefined;
    return size > bounds.oversize ? { reason: 'oversize', detail: 'over the limit of the profile' } : undefined;
  }

  /**
   * What takes apart what the file turned out to be: a message that is attached as something else. Text is shown as text, and often quotes
   * a message or its headers alone (bounces do), so that the oddities of a cut message would be held against it.
   */
  #extractorByContent(): Extractor | undefined {
    const { meta, types } = this.#info;
    if (meta.declaredType?.startsWith('text/') === true) return undefined;
    const extractor = this.#tools.extractors.find((one) => types.includes(one.name));
    if (extractor === undefined || this.#place.mimeDepth <= this.#place.tree.limits.mimeDepth) return extractor;
    this.report({ kind: 'unscannable', reason: 'nested', detail: 'mimeDepth' });
    return undefined;
  }

  /** A message that was collected: it came out of order, or is one by its name or content only. */
  #extract(extractor: Extractor, content: Content): void {
    const stage = this.#beginStage(extractor);
    this.#try(extractor.name, () => {
      eachPiece(content, (piece) => stage.write(piece, 0, piece.length));
      stage.finish(this.#info.state === 'complete');
    });
    this.#container!.close();
    this.#readEveryWay(content);
  }

  /** A message of several readings is read in all of them. What was cut or has holes is not clean in any. */
  #readEveryWay(content: Content): void {
    const { readings } = this.#tools;
    if (readings === undefined || !this.#mayReread() || !this.#ambiguous() || this.#info.state !== 'complete') return;
    const { tree, nesting } = this.#place;
    const budget = new ArchiveBudget(tree, nesting, content.length);
    const container = new NodeContainer(this, tree, budget, budget);
    tree.startUnpacking();
    const done = (complete: boolean): void => {
      tree.stopUnpacking();
      if (budget.crossing !== undefined) this.contain(crossed(budget.crossing));
      container.close();
      if (complete && budget.crossing === undefined) this.#readInEveryWay();
    };
    const failed = (): void => done(false);
    const working = this.#try(readings.name, () => readings.read(content, container));
    if (working === undefined) failed();
    else this.#await(readings.name, working, done, failed);
  }

  #ambiguous(): boolean {
    return this.#contained.some((finding) => finding.kind === 'malformed' && isMimeAnomaly(finding.code));
  }

  /** What has several harmless readings is odd, and no more. */
  #readInEveryWay(): void {
    for (const [index, finding] of this.#contained.entries())
      if (finding.kind === 'malformed' && isHarmlessWhenRead(finding.code))
        this.#contained[index] = { kind: 'oddity', code: finding.code };
  }

  /** `searched`: there are no literals in it. */
  #scan(content: Content, searched: boolean): void {
    this.#tools.scanners.forEach((scanner, index) => {
      this.#scanned.push([]);
      if (searched && scanner.literal === true) return;
      const found = this.#try(scanner.name, () => scanner.scan(this.#info, content));
      if (found === undefined) return;
      if (!(found instanceof Promise)) this.#scanned[index] = found;
      else
        this.#await(scanner.name, found, (findings) => {
          this.#scanned[index] = findings;
        });
    });
  }

  #unpack(content: Content): void {
    const { tree, nesting } = this.#place;
    const types = this.#info.types;
    const unpacker = this.#tools.unpackers.find(
      (one) => this.#try(one.name, () => one.accepts(types, content, this.#info.meta)) === true,
    );
    if (unpacker === undefined) return;
    if (tree.bounds?.scanBzip2 === false && types.includes('bzip2')) {
      this.contain(crossed({ reason: 'unhandled', detail: 'over the limit of the profile' }));
      return;
    }
    const crossing =
      tree.crossing ?? (nesting >= tree.nesting ? { reason: 'nested' as const, detail: 'nesting' } : undefined);
    if (crossing !== undefined) {
      this.contain(crossed(crossing));
      return;
    }
    const budget = new ArchiveBudget(tree, nesting, content.length);
    const container = new NodeContainer(this, tree, budget, budget);
    this.#container = container;
    const finish = (): void => {
      tree.stopUnpacking();
      // It may have stopped at a bound before it had to open another member.
      if (budget.crossing !== undefined) this.contain(crossed(budget.crossing));
      container.close();
    };
    tree.startUnpacking();
    const working = this.#try(unpacker.name, () => unpacker.unpack(content, container));
    if (working instanceof Promise) this.#await(unpacker.name, working, finish, finish);
    else finish();
  }

  /** Keeps the file's bytes until `work` has settled. */
  #await<T>(name: string, work: Promise<T>, then: (result: T) => void, failed?: () => void): void {
    this.#waiting++;
    this.#storage.promised++;
    const settled = work.then(then, (error: unknown) => {
      this.#failed(name, error);
      failed?.();
    });
    // What throws from here on is a bug of ours, and ends the process as an unhandled rejection rather than leave the file open.
    void settled.then(() => {
      this.#storage.promised--;
      this.#settle();
    });
  }

  #try<T>(name: string, work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#failed(name, error);
      return undefined;
    }
  }

  #failed(name: string, error: unknown): void {
    const detail = `${name}: ${error instanceof Error ? error.message : String(error)}`;
    this.report({ kind: 'unscannable', reason: 'engine-error', detail });
  }

  /** One of those that the file waits for is done. */
  #settle(): void {
    this.#waiting--;
    if (this.#waiting > 0) return;
    for (const findings of this.#scanned) this.#findings.push(...findings);
    for (const finding of this.#contained) this.report(finding);
    if (this.#place.infected === undefined) {
      this.#close();
      return;
    }
    this.#settled = true;
    this.#handOver(this.#place.infected);
  }

  /** One of the files that came out of this one is done. */
  #innerDone(infected: InfectedTaker, viruses: ReadonlySet<string>): void {
    this.#inner--;
    for (const virus of viruses) this.#viruses.add(virus);
    if (this.#settled) this.#handOver(infected);
  }

  /** When all that came out of it is done, too: who wants infected files gets this one, if it is one. */
  #handOver(infected: InfectedTaker): void {
    if (this.#inner > 0) return;
    for (const finding of this.#findings) if (finding.kind === 'infected') this.#viruses.add(finding.virus);
    const close = (): void => {
      this.#close();
      const { parent } = this.#place;
      if (parent !== undefined) parent.#innerDone(infected, this.#viruses);
    };
    const content = this.#content;
    const taken =
      this.#viruses.size === 0 || content === undefined
        ? undefined
        : this.#try('infected', () => infected(content, this.#info, this.#viruses));
    if (taken === undefined) close();
    else taken.then(close, close);
  }

  #close(): void {
    this.#dropCollection();
    this.#place.tree.closed();
  }

  #dropCollection(): void {
    this.#collection?.release();
    this.#collection = undefined;
    this.#content = undefined;
  }
}

/** What an extractor or unpacker is given of the file that it takes apart. */
class NodeContainer implements Container {
  readonly depth: number;
  readonly budget: Budget;
  /** The budget again when it is an archive. */
  readonly archive: ArchiveBudget | undefined;
  readonly #node: FileNode;
  readonly #tree: FileTree;
  readonly #open: FileNode[] = [];
  #closed = false;

  constructor(node: FileNode, tree: FileTree, budget: Budget, archive: ArchiveBudget | undefined) {
    this.#node = node;
    this.#tree = tree;
    this.depth = node.inspected.info.depth;
    this.budget = budget;
    this.archive = archive;
  }

  open(child: ChildMeta): ChildStream {
    if (this.#closed) return NOWHERE;
    const crossing =
      this.archive === undefined ? this.#tree.takePart() : (this.archive.crossing ?? this.#tree.takeFile());
    if (crossing !== undefined) {
      this.report(crossed(crossing));
      return NOWHERE;
    }
    // Those that are still open; few: parts of parts.
    while (this.#open.at(-1)?.ended === true) this.#open.pop();
    const node = this.#node.openChild(child, this.archive);
    // An archive with a hole gives members whose bytes are not those that were packed, and not every format would know.
    if (this.archive !== undefined && this.#node.holed) node.report(HOLED);
    this.#open.push(node);
    return node;
  }

  report(finding: Finding): void {
    this.#node.contain(finding);
  }

  headers(headers: MailHeaders): void {
    this.#node.headers(headers);
  }

  /** Nothing more comes out of it: what was left open is cut. */
  close(): void {
    this.#closed = true;
    for (const node of this.#open) node.abort('reset');
    this.#open.length = 0;
  }
}

/** Takes what came out after a limit was crossed. */
const NOWHERE: ChildStream = {
  write() {},
  reserve: () => -1,
  grew() {},
  gap() {},
  end() {},
  abort() {},
};

function isSame(one: Finding, other: Finding): boolean {
  switch (one.kind) {
    case 'infected':
      return other.kind === 'infected' && one.virus === other.virus && one.by === other.by;
    case 'malformed':
    case 'oddity':
      return other.kind === one.kind && one.code === other.code;
    case 'unscannable':
      return other.kind === 'unscannable' && one.reason === other.reason && one.detail === other.detail;
  }
}

/** Findings that decoded noise brings about, and that say nothing of a reading: it seems to be a damaged archive, it ends early. */
const NOISE: ReadonlySet<UnscannableReason> = new Set([
  'corrupted',
  'partiallycorrupted',
  'multipart',
  'unhandled',
  'fragmented',
  'truncated',
  'gap',
  'overlap',
]);

function isNoise(finding: Finding): boolean {
  if (finding.kind === 'unscannable') return NOISE.has(finding.reason);
  return finding.kind !== 'infected';
}

/** Does the file come out of one of which only the beginning was asked for? */
function partOfPartial(info: FileInfo): boolean {
  if (info.parent === undefined) return false;
  let root: FileInfo = info.parent;
  while (root.parent !== undefined) root = root.parent;
  return root.meta.partial === true;
}
