/** What the benches must show, each with the bench that measures it. */
export interface Target {
  readonly what: string
  readonly rule: 'at least' | 'at most'
  readonly limit: number
  /** After the limit: the unit, or what it is a multiple of. */
  readonly of: string
  /** The bench whose runs give the figure; none where no bench does yet. */
  readonly bench?: string
}

const target = (what: string, rule: Target['rule'], limit: number, of: string, bench?: string): Target => ({
  what,
  rule,
  limit,
  of,
  ...(bench !== undefined && { bench }),
})

const [LEAST, MOST] = ['at least', 'at most'] as const
const ONE = 'one caller, one row of digits'
const MANY = '64 callers, one row of digits, protected'
const LOG = 'requests a second with the access log, beside those without'
const WITHOUT = 'without the log'

export const TARGETS = {
  'one-p50': target(`${ONE}: p50`, MOST, 1, '× the best FastAPI + onnxruntime', 'serving'),
  'one-p99': target(`${ONE}: p99`, MOST, 1, '× the best FastAPI + onnxruntime', 'serving'),
  'one-echo': target(`${ONE}: p50`, MOST, 2.5, '× a bare Bun.serve that echoes', 'serving'),
  'many-echo': target(MANY, LEAST, 0.55, '× a bare Bun.serve that echoes', 'serving'),
  'many-axum': target(MANY, LEAST, 1, '× axum + ort on one core', 'serving'),
  'many-fastapi': target(MANY, LEAST, 4, '× FastAPI with two workers', 'serving'),
  'tail-p99': target('64 connections at 70 % of the peak, constant rate: p99', MOST, 3, '× p50', 'serving'),
  'tail-p999': target('64 connections at 70 % of the peak, constant rate: p99.9', MOST, 8, 'ms', 'serving'),
  'log-infer': target(`${LOG}: one row of digits`, LEAST, 0.93, `× ${WITHOUT}`, 'access-log'),
  'log-rows': target(`${LOG}: 32 rows of digits`, LEAST, 0.93, `× ${WITHOUT}`, 'access-log'),
  'log-public': target(`${LOG}: public route`, LEAST, 0.93, `× ${WITHOUT}`, 'access-log'),
  'log-protected': target(`${LOG}: protected route`, LEAST, 0.93, `× ${WITHOUT}`, 'access-log'),
  'cached-public': target('cached token, `vestal start`', LEAST, 0.9, '× its public route with the same headers', 'tokens'),
  'cached-javascript': target('cached token, `vestal start`', LEAST, 3, '× the best JavaScript peer', 'tokens'),
  'cached-axum': target('cached token, `vestal start`', LEAST, 1, '× axum', 'tokens'),
  'fresh-javascript': target(
    'every token new, HS256 in Rust, `vestal start`',
    LEAST,
    1.3,
    '× the best JavaScript peer',
    'verify',
  ),
  'fresh-boring': target('every token new, HS256, boring, plugin', LEAST, 0.8, '× axum', 'tokens'),
  'json-rate': target('a 3 MB picture as JSON, 8 callers', LEAST, 4, '× FastAPI + orjson', 'json'),
  'json-health': target('p99 of health meanwhile', MOST, 10, 'ms', 'json'),
  'json-8mb': target('8 MB FP32 as JSON, both ways', MOST, 130, 'ms', 'json'),
  'batches-dense': target('batches with default settings, dense model', LEAST, 0.93, '× session.run at its best batch', 'engine'),
  'batches-check': target('settings of `models check`', LEAST, 0.97, '× the best by search'),
  'start-bundled': target('start with the bundled models', MOST, 500, 'ms', 'start'),
  'start-large': target('start with a 500 MB model', MOST, 1.15, '× onnxruntime in Python', 'start'),
  'start-memory': target('memory with a 500 MB model', MOST, 1.1, '× onnxruntime in Python', 'start'),
  'processes-two': target(
    '`--processes 2`, protected route, load on the same two cores',
    LEAST,
    1.15,
    '× one process',
    'processes',
  ),
  'steady-memory': target('memory after 20 minutes at 80 % of the peak', MOST, 1.05, '× that after the first fifth', 'steady'),
} as const satisfies Readonly<Record<string, Target>>

export type TargetId = keyof typeof TARGETS

/** Whether a figure keeps a target. */
export function meets({ rule, limit }: Target, value: number): boolean {
  return rule === 'at least' ? value >= limit : value <= limit
}
