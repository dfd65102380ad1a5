import { OPEN_INFERENCE_TAG } from './open-inference.ts'
import { operation } from './operation.ts'

const tag = OPEN_INFERENCE_TAG
const isOpenInference = true
const duration = { count: 3, ns: 1_200_000 }
const none = { count: 0, ns: 0 }
const statistics = {
  description: 'What was done since the model was loaded; durations are sums',
  schema: 'ModelStatistics',
  example: {
    model_stats: [
      {
        name: 'iris',
        version: '1',
        last_inference: 1_795_507_200_000,
        inference_count: 3,
        execution_count: 3,
        inference_stats: {
          success: duration,
          fail: none,
          queue: duration,
          compute_input: duration,
          compute_infer: duration,
          compute_output: duration,
          cache_hit: none,
          cache_miss: none,
        },
        response_stats: {},
        batch_stats: [{ batch_size: 1, compute_input: duration, compute_infer: duration, compute_output: duration }],
        memory_usage: [],
      },
    ],
  },
} as const

/** The documentation of the statistics routes. */
export const STATISTICS_DETAIL = {
  all: operation({
    tag,
    summary: 'Statistics of the models that the token may read',
    permission: '',
    answer: statistics,
    isOpenInference,
  }),
  one: operation({
    tag,
    summary: 'Statistics of a model',
    permission: 'model:<name>:read',
    answer: statistics,
    failures: [404],
    isOpenInference,
  }),
}

/** The documentation of the model repository's routes. */
export const REPOSITORY_DETAIL = {
  index: operation({
    tag,
    summary: 'The repository’s models that the token may read',
    permission: '',
    body: { schema: 'IndexRequest', isOptional: true, examples: { all: {}, ready: { ready: true } } },
    answer: {
      description: 'One entry a version',
      schema: 'Index',
      example: [
        { name: 'iris', version: '1', state: 'READY', reason: '' },
        { name: 'digits', version: '1', state: 'UNAVAILABLE', reason: 'unloaded' },
      ],
    },
    failures: [413],
    isOpenInference,
  }),
  load: operation({
    tag,
    summary: 'Load a model, or load it again',
    description:
      'Answered once it is ready. What serves keeps serving until then, and after a failure. Models of a pipeline that are not ready are loaded too, which requires model:<name>:admin of each; a pipeline in the request requires model:<name>:predict of each step.',
    permission: 'model:<name>:admin',
    body: { schema: 'LoadRequest', isOptional: true, examples: { plain: {} } },
    answer: { description: 'It is loaded; there is no body' },
    failures: [404, 413, 422, 501, 503],
    isOpenInference,
  }),
  unload: operation({
    tag,
    summary: 'Take a model off',
    description:
      'Answered once no new request reaches it; in-flight requests finish. With unload_dependents the models of a pipeline are unloaded too, but for those of which the token has no model:<name>:admin: the answer names them.',
    permission: 'model:<name>:admin',
    body: {
      schema: 'UnloadRequest',
      isOptional: true,
      examples: { plain: {}, dependents: { parameters: { unload_dependents: true } } },
    },
    answer: {
      description: 'It is unloaded; there is a body only where members stay loaded',
      schema: 'Unloaded',
      example: { not_unloaded: [{ name: 'iris', reason: 'requires the permission model:iris:admin' }] },
    },
    failures: [404, 413, 503],
    isOpenInference,
  }),
}
