import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The way to the database, which can be cut, or swallow everything, as a network does. */
export class Cable {
  readonly #server: Server = createServer((socket) => this.#carry(socket));
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  constructor(private readonly target: URL) {}

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

  mend(): void {
    this.#isCut = false;
    // What was swallowed is lost, and so is its connection.
    for (const socket of this.#sockets) if (socket.isPaused()) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(socket: Socket): void {
    const onward = connect(Number(this.target.port), this.target.hostname);
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined).on('close', () => (this.#sockets.delete(from), to.destroy()));
      from.pipe(to);
    }
    if (this.#isCut) socket.destroy();
  }
}
