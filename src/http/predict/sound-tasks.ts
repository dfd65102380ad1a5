import { Type } from '@sinclair/typebox'
import { strict, words } from '../../schema/build.ts'
import { classifySounds } from '../../tasks/audio/classify-sounds.ts'
import type { TaskBodies } from './codec.ts'
import { filesOf } from './picture-tasks.ts'
import { shortScore } from './vector-json.ts'

// The names of parameters are those of Hugging Face's tasks.

const ClassifyParameters = strict({
  top_k: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65_536, description: 'Labels of each sound, best first; default all' }),
  ),
  function_to_apply: Type.Optional(
    words(['softmax', 'sigmoid', 'none'], {
      description: 'What makes scores of the model’s numbers; default as the model has it',
    }),
  ),
})

/** The bodies of tasks whose input is sound. */
export const SOUND_TASKS = {
  'audio-classify': {
    parameters: ClassifyParameters,
    async answer(input, parameters, call) {
      const { top_k: topK, function_to_apply: activation } = parameters as typeof ClassifyParameters.static
      const { files, isOne } = filesOf(input, 'sound')
      const scores = await classifySounds(call, files, { topK, activation })
      const shown = scores.map((labels) => labels.map(({ label, score }) => ({ label, score: shortScore(score) })))
      return JSON.stringify(isOne ? shown[0] : shown)
    },
  },
} satisfies Readonly<Record<string, TaskBodies>>
