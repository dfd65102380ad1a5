import type { TaskDescription } from './task.ts'

/** What is shown of a task: all but where files are on this machine. */
export type ShownTask = Omit<TaskDescription, 'text' | 'vector'> & { readonly text?: object; readonly vector?: object }

/** A task as callers and operators see it. */
export function shownTask({ text, vector, ...task }: TaskDescription): ShownTask {
  return {
    ...task,
    ...(text && { text: { ...text, tokenizer: { sha256: text.tokenizer.sha256 } } }),
    ...(vector && { vector: { ...vector, dense: vector.dense.map(({ path: _, ...layer }) => layer) } }),
  }
}

/** A task in a few words: `embedding (384 numbers, 256 tokens)`. */
export function taskInWords({ task, text, vector, scores, boxes, masks, audio }: TaskDescription): string {
  const labels = (scores ?? boxes ?? masks)?.labels.length ?? 0
  const facts = [
    ...(vector ? [`${vector.dimensions} numbers`] : []),
    ...(labels > 1 ? [`${labels} classes`] : []),
    ...(text ? [`${text.tokensMax} tokens`] : []),
    ...(audio ? [`${audio.rate} Hz`] : []),
  ]
  return facts.length === 0 ? task : `${task} (${facts.join(', ')})`
}
