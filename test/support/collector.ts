/** A span as a collector reads it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Readonly<Record<string, string | number>>
  readonly status: { readonly code?: number }
}

/** How a collector answers: with a status, or not at all. */
export type CollectorAnswer = number | 'hang'

/** A collector of OpenTelemetry on a loopback address, which keeps what it is sent. */
export class Collector implements Disposable {
  readonly spans: ReceivedSpan[] = []
  readonly resources: Readonly<Record<string, string | number>>[] = []
  readonly headers: Headers[] = []
  /** Every body, as it came. */
  readonly bodies: string[] = []
  /** What is answered next; the last of them from then on. */
  readonly answers: CollectorAnswer[]
  readonly #server: Bun.Server<undefined>

  constructor(...answers: CollectorAnswer[]) {
    this.answers = answers.length === 0 ? [200] : answers
    this.#server = Bun.serve({ port: 0, hostname: '127.0.0.1', idleTimeout: 0, fetch: (request) => this.#take(request) })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`
  }

  get requests(): number {
    return this.bodies.length
  }

  async #take(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    if (request.method !== 'POST' || pathname !== '/v1/traces') return new Response(null, { status: 404 })
    const body = await request.text()
    const answer = (this.answers.length > 1 ? this.answers.shift() : this.answers[0]) ?? 200
    this.headers.push(request.headers)
    this.bodies.push(body)
    if (answer === 'hang') return new Promise(() => undefined)
    if (answer === 200) this.#keep(JSON.parse(body))
    return Response.json({}, { status: answer })
  }

  // biome-ignore lint/suspicious/noExplicitAny: a body is what was sent.
  #keep(body: any): void {
    for (const { resource, scopeSpans } of body.resourceSpans) {
      this.resources.push(attributesOf(resource.attributes))
      for (const { spans } of scopeSpans)
        for (const span of spans) this.spans.push({ ...span, attributes: attributesOf(span.attributes) })
    }
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true)
  }
}

type Value = { readonly stringValue: string } | { readonly intValue: string } | { readonly doubleValue: number }

function attributesOf(attributes: readonly { readonly key: string; readonly value: Value }[]) {
  return Object.fromEntries(
    attributes.map(({ key, value }) => {
      if ('stringValue' in value) return [key, value.stringValue]
      return [key, 'intValue' in value ? Number(value.intValue) : value.doubleValue]
    }),
  )
}
