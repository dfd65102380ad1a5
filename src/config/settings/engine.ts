import { integer, oneOf } from '../readers.ts'
import { single } from './row.ts'

/** How models are computed, and how much of it at once; `model.toml` may say otherwise of one model. */
export const ENGINE = {
  instances: single(integer(1, 64), {
    default: undefined as number | undefined,
    shownDefault: 'one, or as many as the cores allow if threads is set',
    value: 'N',
    help: 'Workers of a model, each with a copy of its weights.',
  }),
  isolation: single(oneOf('process', 'shared'), {
    default: 'process' as 'process' | 'shared',
    value: 'process|shared',
    help: 'Worker processes of models whose model.toml does not choose: their own (process), or one for all of them (shared), for many tiny models of one owner. What ends a shared process ends it for all of its models.',
  }),
  threads: single(integer(1, 256), {
    default: undefined as number | undefined,
    shownDefault: 'the cores of the container, divided among the model’s workers',
    value: 'N',
    help: 'Threads of one run.',
  }),
  queueMax: single(integer(1, 100_000), {
    default: 512,
    value: 'N',
    help: 'Queued and running predictions of one model; one more is rejected with 503 and Retry-After.',
  }),
  requestsMax: single(integer(1, 1_000_000), {
    default: 1024,
    value: 'N',
    help: 'Queued and running predictions of all models; one more is rejected with 503 and Retry-After.',
    isReloadable: true,
  }),
  subjectRequestsMax: single(integer(1, 1_000_000), {
    default: 128,
    value: 'N',
    help: 'Queued and running predictions of one subject; one more is rejected with 429 and Retry-After.',
    isReloadable: true,
  }),
  inputBytesMax: single(integer(1, 2 ** 40), {
    default: 2 ** 30,
    value: 'BYTES',
    help: 'Bytes held for all requests together: bodies as they arrive and expand, queued and running inputs, unread responses, messages of sockets. More is rejected with 503 and Retry-After.',
    isReloadable: true,
  }),
  subjectBytesMax: single(integer(1, 2 ** 40), {
    default: undefined as number | undefined,
    shownDefault: 'a quarter of input_bytes_max',
    value: 'BYTES',
    help: 'Bytes of these held for one subject; more is rejected with 429 and Retry-After. A single request may exceed it.',
    isReloadable: true,
  }),
  requestTimeoutSeconds: single(integer(1, 86_400), {
    default: 60,
    value: 'N',
    help: 'Seconds of a prediction, queued and computing; then it fails with 503 in the queue and 504 in its run.',
  }),
  runSecondsMax: single(integer(1, 86_400), {
    default: 120,
    value: 'N',
    help: 'Seconds of a run; a longer one is killed with its worker process, which is replaced.',
  }),
  loadSecondsMax: single(integer(1, 86_400), {
    default: 120,
    value: 'N',
    help: 'Seconds to load, try and warm up a version of a model; then it is unavailable with the reason. The server listens after at most 20 s, and is ready once all models were tried.',
  }),
  instanceMemoryBytesMax: single(integer(2 ** 26, 2 ** 44), {
    default: undefined as number | undefined,
    shownDefault: 'four fifths of the memory of the container',
    value: 'BYTES',
    help: 'Memory of one worker process; one that uses more is killed.',
  }),
  syntheticInputs: single(oneOf('on', 'off'), {
    default: 'on' as 'on' | 'off',
    value: 'on|off',
    help: 'Try and warm up models with made-up inputs if their files record none. off: such models share no runs. model.toml can set synthetic_inputs for one model.',
  }),
  responseCacheBytesMax: single(integer(1, 2 ** 40), {
    default: 2 ** 26,
    value: 'BYTES',
    help: 'Bytes of cached responses of a model version with cache = true in model.toml, inputs included; the least used are evicted.',
  }),
}
