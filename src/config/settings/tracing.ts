import { asNumber, line, listOf, type Reader } from '../readers.ts'
import { list, optional, single } from './row.ts'

const collector: Reader<string> = (text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:'
  if (url !== undefined && isWeb && url.username === '' && url.password === '' && url.hash === '' && url.search === '')
    return text
  throw new RangeError('must be an address such as http://collector:4318, without user, query and fragment')
}
const header: Reader<string> = (text) => {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}=[\x21-\x7e]{1,4096}$/.test(text)) return text
  throw new RangeError('must be name=value')
}
const ratio: Reader<number> = asNumber((text) => {
  const value = Number(text)
  if (/^(?:\d|\d?\.\d{1,9})$/.test(text) && value >= 0 && value <= 1) return value
  throw new RangeError('must be a number from 0 to 1')
})

/** Where spans go. */
export const TRACING = {
  otlpEndpoint: optional(collector, {
    value: 'ADDRESS',
    alias: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    help: 'OpenTelemetry collector that receives spans, as OTLP over HTTP in JSON, under `/v1/traces`; without one nothing is traced. Also `OTEL_EXPORTER_OTLP_ENDPOINT`.',
  }),
  otlpHeaders: list(listOf(header, 16), [], {
    alias: 'OTEL_EXPORTER_OTLP_HEADERS',
    isSecret: true,
    help: 'Headers that the collector requires, such as `api-key=…`, separated by commas. Also `OTEL_EXPORTER_OTLP_HEADERS`.',
  }),
  otlpServiceName: single(line(100), 'vestal', {
    value: 'NAME',
    alias: 'OTEL_SERVICE_NAME',
    help: 'Name of this server in its spans. Also `OTEL_SERVICE_NAME`.',
  }),
  traceRatio: single(ratio, 1, {
    value: 'RATIO',
    alias: 'OTEL_TRACES_SAMPLER_ARG',
    help: 'Fraction of the requests that is traced, 0 to 1. A request with a `traceparent` is traced if its caller traces it. Also `OTEL_TRACES_SAMPLER_ARG`.',
  }),
}
