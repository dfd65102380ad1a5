import { integer, oneOf } from '../readers.ts'
import { single } from './row.ts'

/** How models are computed, and how much of it at once; `model.toml` may say otherwise of one model. */
export const ENGINE = {
  instances: single(integer(1, 64), {
    default: undefined as number | undefined,
    shownDefault: 'one, or as many as the cores are enough for where threads are set',
    value: 'N',
    help: 'Workers of a model, each with a copy of its weights.',
  }),
  isolation: single(oneOf('process', 'shared'), {
    default: 'process' as 'process' | 'shared',
    value: 'process|shared',
    help: 'Whether models that do not say so in model.toml have worker processes of their own, or share one: for many tiny models of one owner. What ends a shared process ends it for all of its models.',
  }),
  threads: single(integer(1, 256), {
    default: undefined as number | undefined,
    shownDefault: 'the cores of the container, shared among the workers of the model',
    value: 'N',
    help: 'Threads that one prediction may use.',
  }),
  queueMax: single(integer(1, 100_000), {
    default: 512,
    value: 'N',
    help: 'Predictions of one model that wait or run at once; one more is refused with 503 and Retry-After.',
  }),
  requestsMax: single(integer(1, 1_000_000), {
    default: 1024,
    value: 'N',
    help: 'Predictions of all models that wait or run at once; one more is refused with 503 and Retry-After.',
  }),
  subjectRequestsMax: single(integer(1, 1_000_000), {
    default: 128,
    value: 'N',
    help: 'Predictions of one subject that wait or run at once; one more is refused with 429 and Retry-After.',
  }),
  inputBytesMax: single(integer(1, 2 ** 40), {
    default: 2 ** 30,
    value: 'BYTES',
    help: 'Bytes held for all requests together: bodies as they come, what they expand to, inputs that wait or run, unread answers, messages of sockets. What would exceed it is rejected with 503 and Retry-After.',
  }),
  subjectBytesMax: single(integer(1, 2 ** 40), {
    default: undefined as number | undefined,
    shownDefault: 'a quarter of input_bytes_max',
    value: 'BYTES',
    help: 'Of these, bytes of one subject; what would exceed it is rejected with 429 and Retry-After. One request alone may hold more.',
  }),
  requestTimeoutSeconds: single(integer(1, 86_400), {
    default: 60,
    value: 'N',
    help: 'Longest time of a prediction, waiting and computing; it is then refused, with 503 where it still waits and 504 in its run.',
  }),
  runSecondsMax: single(integer(1, 86_400), {
    default: 120,
    value: 'N',
    help: 'A run that takes longer is killed with its worker process, and another takes its place.',
  }),
  loadSecondsMax: single(integer(1, 86_400), {
    default: 120,
    value: 'N',
    help: 'Seconds in which a version of a model is loaded, tried and warmed up; after that it is unavailable with the reason. The server listens after at most 20 s, and is ready once all models were tried.',
  }),
  instanceMemoryBytesMax: single(integer(2 ** 26, 2 ** 44), {
    default: undefined as number | undefined,
    shownDefault: 'four fifths of the memory of the container',
    value: 'BYTES',
    help: 'Memory of one worker process; one that holds more is killed.',
  }),
  syntheticInputs: single(oneOf('on', 'off'), {
    default: 'on' as 'on' | 'off',
    value: 'on|off',
    help: 'Whether models are tried and warmed up with made-up inputs where their files record none. Off: such models share no runs; model.toml may say synthetic_inputs of one model.',
  }),
  responseCacheBytesMax: single(integer(1, 2 ** 40), {
    default: 2 ** 26,
    value: 'BYTES',
    help: 'Answers that a model version keeps where its model.toml says cache = true, with their questions; the least used are dropped.',
  }),
}
