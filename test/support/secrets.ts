import { appendFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where a run of all suites keeps its secrets, and what its processes print; `.ci/run` names it, and then looks for the ones in the other. */
const folder = process.env.VESTAL_TEST_SECRETS
/** What is shorter is a word that stands elsewhere too. */
const LENGTH_MIN = 10

/** Settings whose values nothing may print. */
const SECRET_SETTINGS =
  /^VESTAL_(?:SECRET|KEY|KEY_PASSPHRASE|ADMIN_PASSWORD|OTLP_HEADERS|TLS_KEY_PASSPHRASE)$|^OTEL_EXPORTER_OTLP_HEADERS$/

/** Notes a secret, and gives it back. */
export function noteSecret(text: string): string {
  if (folder !== undefined)
    for (const line of text.split('\n')) if (line.length >= LENGTH_MIN && !line.startsWith('-----')) append('secrets', line)
  return text
}

/** Notes the secrets among the variables that a process is given. */
export function secretsIn(environment: Readonly<Record<string, string>>): void {
  if (folder === undefined) return
  for (const [name, value] of Object.entries(environment)) if (SECRET_SETTINGS.test(name)) noteSecret(value)
}

/** Keeps what a process printed where it may print no secret: a log, and what is told of a fault. */
export function printed(text: string): void {
  if (folder !== undefined && text !== '') append('printed', text)
}

/** A stream for a test to read, of which all is kept. */
export function kept(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  if (folder === undefined) return stream
  const decoder = new TextDecoder()
  const keep = {
    transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>) {
      printed(decoder.decode(chunk, { stream: true }))
      controller.enqueue(chunk)
    },
  }
  // It is kept whether the test reads it or not.
  return stream.pipeThrough(new TransformStream(keep, undefined, { highWaterMark: 10_000 }))
}

function append(file: 'secrets' | 'printed', text: string): void {
  appendFileSync(join(folder ?? '', file), `${text}\n`)
}
