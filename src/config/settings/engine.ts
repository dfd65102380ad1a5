import { bytes, integer, oneOf, seconds } from '../readers.ts'
import { optional, single } from './row.ts'

/** How models are computed, and how much of it at once; `model.toml` may say otherwise of one model. */
export const ENGINE = {
  instances: optional(integer(1, 64), {
    shownDefault: 'one; two for a model of texts with 4 to 128 MiB of weights; as many as the cores allow if threads is set',
    help: 'Workers of a model, each with a copy of its weights.',
  }),
  isolation: single(oneOf('process', 'shared'), 'process', {
    help: 'Worker processes of models whose model.toml does not choose: their own (process), or one for all of them (shared), for many tiny models of one owner. What ends a shared process ends it for all of its models.',
  }),
  threads: optional(integer(1, 256), {
    shownDefault: 'the cores of the container, divided among the model’s workers',
    help: 'Threads of one run. Models up to 4 MiB compute short runs with one.',
  }),
  queueMax: single(integer(1, 100_000), 512, {
    help: 'Queued and running predictions of one model; one more is rejected with 503 and Retry-After.',
  }),
  requestsMax: single(integer(1, 1_000_000), 1024, {
    help: 'Queued and running predictions of all models; one more is rejected with 503 and Retry-After.',
    isReloadable: true,
  }),
  subjectRequestsMax: single(integer(1, 1_000_000), 128, {
    help: 'Queued and running predictions of one subject; one more is rejected with 429 and Retry-After.',
    isReloadable: true,
  }),
  inputBytesMax: single(bytes(1, 2 ** 40), 2 ** 30, {
    help: 'Bytes held for all requests together: bodies as they arrive and expand, queued and running inputs, unread responses, messages of sockets. More is rejected with 503 and Retry-After.',
    isReloadable: true,
  }),
  subjectBytesMax: optional(bytes(1, 2 ** 40), {
    shownDefault: 'a quarter of input_bytes_max',
    help: 'Bytes of these held for one subject; more is rejected with 429 and Retry-After. A single request may exceed it.',
    isReloadable: true,
  }),
  taskItemsMax: single(integer(1, 65_536), 2048, {
    help: 'Texts, pairs or candidate labels of one request to a model with a task; more are rejected with 413 before any is computed.',
  }),
  taskTokensMax: single(integer(1, 2 ** 31 - 1), 262_144, {
    help: 'Tokens of all texts of one request in sum, as the model gets them; more are rejected with 413 before any is computed. Of all requests together, input_bytes_max limits them.',
  }),
  requestTimeoutSeconds: single(seconds(1, 86_400), 60, {
    help: 'Seconds of a prediction, queued and computing; then it fails with 503 in the queue and 504 in its run.',
  }),
  runSecondsMax: single(seconds(1, 86_400), 120, {
    help: 'Seconds of a run; a longer one is killed with its worker process, which is replaced.',
  }),
  loadSecondsMax: single(seconds(1, 86_400), 120, {
    help: 'Seconds to load, try and warm up a version of a model; then it is unavailable with the reason. The server listens after at most 20 s, and is ready once all models were tried.',
  }),
  instanceMemoryBytesMax: optional(bytes(2 ** 26, 2 ** 44), {
    shownDefault: 'four fifths of the memory of the container',
    help: 'Memory of one worker process; one that uses more is killed.',
  }),
  syntheticInputs: single(oneOf('on', 'off'), 'on', {
    help: 'Try and warm up models with made-up inputs if their files record none. off: such models share no runs. model.toml can set synthetic_inputs for one model.',
  }),
  responseCacheBytesMax: single(bytes(1, 2 ** 40), 2 ** 26, {
    help: 'Bytes of cached responses of a model version with cache = true in model.toml, inputs included; the least used are evicted.',
  }),
}
