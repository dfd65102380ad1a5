import type { TaskCall } from '../call.ts'
import { type Activation, activated, bestFirst, type LabelScore, scoresIn } from '../scores.ts'
import { computePictures, imageInputOf, wrongOutput } from './pictures.ts'

export interface ClassifyImagesOptions {
  /** Labels of an answer; default all. */
  readonly topK?: number | undefined
  /** Default as the model's folder says. */
  readonly activation?: Activation | undefined
}

/**
 * Gives the labels of each picture with their scores, best first.
 * @throws VestalError TASK_MISMATCH, INPUT_INVALID, MEDIA_UNREADABLE, INPUTS_TOO_MANY, and as the engine
 */
export async function classifyImages(
  call: TaskCall,
  pictures: readonly Uint8Array[],
  { topK, activation }: ClassifyImagesOptions = {},
): Promise<readonly (readonly LabelScore[])[]> {
  imageInputOf(call.task, 'image-classify')
  const { scores } = call.task
  if (scores === undefined) throw wrongOutput('scores', 'is not described')
  return computePictures(call, pictures, [scores.output], (results) => {
    const values = activated(scoresIn(results, scores), activation ?? scores.activation)
    return bestFirst(scores.labels, values).slice(0, topK)
  })
}
