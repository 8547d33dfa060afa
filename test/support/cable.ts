import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The way to a server, which can be cut, swallow everything, as a network does, or lead to another server. */
export class Cable {
  readonly #server: Server = createServer((socket) => this.#carry(socket));
  readonly #sockets = new Set<Socket>();
  readonly #swallowed = new Set<Socket>();
  readonly #held = new Set<Socket>();
  /** Towards whom each connection of ours to the server passes on what that says. */
  readonly #answersOf = new Map<Socket, Socket>();
  #isCut = false;
  #isSwallowing = false;
  #isHolding = false;
  #isDeaf = false;

  constructor(private target: URL) {}

  /** Connections of whose requests nothing arrived. */
  get swallowed(): number {
    return this.#swallowed.size;
  }

  /** Connections that wait with what they have sent. */
  get held(): number {
    return [...this.#held].filter(({ bytesRead }) => bytesRead > 0).length;
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const url = new URL(this.target);
    url.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return url.href;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Swallows all that is sent from here on, without a word. */
  stall(): void {
    for (const socket of this.#sockets) socket.pause().unpipe();
  }

  /** Accepts who connects from here on, and passes nothing on of what they send. */
  swallow(): void {
    this.#isSwallowing = true;
  }

  /** Accepts who connects from here on, and has what they send wait. */
  hold(): void {
    this.#isHolding = true;
  }

  /** Passes on what waits, and all that follows; resolves when those connections are over. */
  async letGo(): Promise<void> {
    this.#isHolding = false;
    const held = [...this.#held];
    this.#held.clear();
    const over = held.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of held) this.#carry(socket);
    await Promise.all(over);
  }

  /** Passes on what a PostgreSQL answers, and nothing that it says by itself to somebody who is quiet: no notification. */
  deafen(): void {
    this.#isDeaf = true;
    for (const [onward, socket] of this.#answersOf) deafen(onward, socket);
  }

  /** Who connects from here on comes to another server. */
  leadTo(target: URL): void {
    this.target = target;
  }

  mend(): void {
    this.#isCut = false;
    this.#isSwallowing = false;
    // What was swallowed is lost, and so is its connection.
    for (const socket of [...this.#sockets].filter((each) => each.isPaused())) socket.destroy();
    for (const socket of this.#swallowed) socket.destroy();
    this.#swallowed.clear();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(socket: Socket): void {
    if (this.#isSwallowing) return this.#keepFromArriving(socket);
    if (this.#isHolding) return this.#keepWaiting(socket);
    const onward = connect(Number(this.target.port), this.target.hostname);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined).on('close', () => (this.#sockets.delete(from), to.destroy()));
      from.pipe(to);
    }
    this.#answersOf.set(onward, socket);
    onward.on('close', () => this.#answersOf.delete(onward));
    if (this.#isDeaf) deafen(onward, socket);
    if (this.#isCut) socket.destroy();
  }

  #keepFromArriving(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    socket.once('data', () => this.#swallowed.add(socket)).resume();
  }

  #keepWaiting(socket: Socket): void {
    this.#sockets.add(socket);
    this.#held.add(socket);
    socket
      .on('error', () => undefined)
      .on('close', () => (this.#sockets.delete(socket), this.#held.delete(socket)));
  }
}

/** The first byte of a NotificationResponse. */
const NOTIFICATION = 0x41;

/** The type of a message, and its length without that. */
const HEAD_BYTES = 5;

function deafen(from: Socket, to: Socket): void {
  let left = Buffer.alloc(0);
  from.unpipe(to);
  from.on('data', (chunk: Buffer) => {
    left = Buffer.concat([left, chunk]);
    while (left.length >= HEAD_BYTES && left.length > left.readUInt32BE(1)) {
      const message = left.subarray(0, 1 + left.readUInt32BE(1));
      if (message[0] !== NOTIFICATION) to.write(message);
      left = left.subarray(message.length);
    }
  });
  from.resume();
}
