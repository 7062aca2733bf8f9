// The stream of the server, and its recovery.

const PAUSES = [1, 2, 3, 5, 5, 10];
const SILENCE_MS = 8000;

export class Connection {
  // handlers: hello(data), tick(data), state(name, detail). States: connecting, live, lost, locked.
  constructor(handlers) {
    this.handlers = handlers;
    this.failures = 0;
    this.source = null;
    this.timer = 0;
    this.last = 0;
    setInterval(() => this.watch(), 1000);
  }

  async open() {
    clearTimeout(this.timer);
    this.source?.close();
    this.handlers.state("connecting");
    let session;
    try {
      session = await (await fetch("api/session", { cache: "no-store", signal: AbortSignal.timeout(5000) })).json();
    } catch {
      this.lost();
      return;
    }
    if (session.error) this.handlers.state("refused", session.error);
    else if (!session.authorized) this.handlers.state("locked");
    else this.listen(session);
  }

  listen(session) {
    const source = (this.source = new EventSource("api/live"));
    this.last = Date.now();
    source.addEventListener("hello", (event) => {
      this.heard();
      this.handlers.hello(JSON.parse(event.data), session);
    });
    source.addEventListener("tick", (event) => {
      this.heard();
      this.handlers.tick(JSON.parse(event.data));
    });
    source.addEventListener("bye", () => this.lost());
    source.addEventListener("error", () => this.lost());
  }

  heard() {
    this.last = Date.now();
    this.failures = 0;
    this.handlers.state("live");
  }

  watch() {
    // A machine that has slept, or a network that drops silently, gives no error.
    if (this.source?.readyState === EventSource.OPEN && Date.now() - this.last > SILENCE_MS) this.lost();
  }

  lost() {
    this.source?.close();
    this.source = null;
    clearTimeout(this.timer);
    const pause = PAUSES[Math.min(this.failures, PAUSES.length - 1)];
    this.failures += 1;
    this.handlers.state("lost", pause);
    this.timer = setTimeout(() => this.open(), pause * 1000);
  }
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tasker": "1" },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || `status ${answer.status}`);
  return value;
}
