import { printable } from '../../core/printable.ts'
import { clean, isPlain, remembered, textOf } from './clean.ts'
import type { LogEntry, LogFields } from './logger.ts'
import { rememberedCaller, rememberedTarget } from './request-parts.ts'

/** One JSON object: `time`, `level`, `message`, and the fields that are there. */
export function jsonLine({ timeMs, level, message, fields }: LogEntry): string {
  const members = isRequest(fields) ? requestMembers(fields) : membersOf(fields)
  return `{"time":"${timeText(timeMs)}","level":"${level}","message":${jsonOfText(message)}${members}}`
}

/** True for the fields of an answered request: all that `requestMembers` writes, and no others. */
function isRequest({ requestId, durationMs, version, error, runtimeText, mode, url, count }: LogFields): boolean {
  const hasOthers = version ?? error ?? runtimeText ?? mode ?? url ?? count
  return requestId !== undefined && durationMs !== undefined && hasOthers === undefined
}

function membersOf(fields: LogFields): string {
  let text = ''
  // By name: `Object.keys` takes twice as long.
  for (const name in fields) text += memberOf(fields, name as keyof LogFields)
  return text
}

function memberOf(fields: LogFields, name: keyof LogFields): string {
  const value = fields[name]
  return value === undefined ? '' : `,"${name}":${jsonText(value, name)}`
}

/** The members of an answered request, which most lines are of: what they have in common is made once. */
function requestMembers(fields: LogFields): string {
  const { process, requestId, traceId, durationMs = 0, tokenId, code, reason } = fields
  const { asked, model } = targetOf(fields)
  let text = process === undefined ? '' : memberOf(fields, 'process')
  text += `,"requestId":${changingText(requestId)}`
  if (traceId !== undefined) text += memberOf(fields, 'traceId')
  text += `${asked},"durationMs":${jsonNumber(durationMs)}${callerOf(fields)}`
  if (tokenId !== undefined) text += memberOf(fields, 'tokenId')
  text += model
  return code === undefined && reason === undefined ? text : text + membersNamed(fields, ['code', 'reason'])
}

const membersNamed = (fields: LogFields, names: readonly (keyof LogFields)[]) =>
  names.map((name) => memberOf(fields, name)).join('')

const targetOf = rememberedTarget((fields) => ({
  asked: membersNamed(fields, ['method', 'route', 'status']),
  model: membersNamed(fields, ['model']),
}))

const callerOf = rememberedCaller((fields) => membersNamed(fields, ['address', 'issuer', 'subject']))

/** Fields with another value in each request. */
const CHANGING: ReadonlySet<keyof LogFields> = new Set(['requestId', 'traceId', 'tokenId'])

/** A text as JSON that a terminal may show: JSON itself escapes neither what moves a cursor by one character nor what turns text around. */
const escaped = (text: string) => printable(JSON.stringify(text))

const jsonOfText = remembered((text) => escaped(clean(text)))

const changingText = (value: unknown) => (typeof value === 'string' && isPlain(value) ? `"${value}"` : escaped(textOf(value)))

/** A value as JSON has it. */
function jsonText(value: unknown, name: keyof LogFields): string {
  if (typeof value === 'number') return jsonNumber(value)
  if (CHANGING.has(name)) return changingText(value)
  return typeof value === 'string' && name !== 'runtimeText' ? jsonOfText(value) : escaped(textOf(value, name))
}

let lastMs = Number.NaN
let secondMs = Number.NaN
let [secondText, lastText] = ['', '']

/** RFC 3339 with milliseconds. The texts of a second and of a millisecond are made once. */
function timeText(timeMs: number): string {
  if (timeMs === lastMs) return lastText
  const ms = timeMs % 1000
  if (timeMs - ms !== secondMs) {
    secondMs = timeMs - ms
    secondText = new Date(secondMs).toISOString().slice(0, 20)
  }
  lastMs = timeMs
  lastText = `${secondText}${String(ms).padStart(3, '0')}Z`
  return lastText
}

/** A number with at most three decimals. */
export function jsonNumber(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : 'null'
}
