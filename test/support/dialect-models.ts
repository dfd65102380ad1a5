import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { boxModel, channelModel, channelTask, colourModel, colourTask, SMALL } from './picture-models.ts'
import { bundledEngine } from './server.ts'
import { bertTokenizer, idOfToken, sumModel, textInput, tokenModel, VOCABULARY, withTasks } from './text-models.ts'
import { identityModel } from './tiny-models.ts'

/** The vector of a token of the model `embedding`: what it says of itself, and 1. */
function vectorOf(id: number): readonly number[] {
  return [id === idOfToken('good') ? 9 : 1, id === idOfToken('bad') ? -9 : -1, 1]
}

/** The scores of a token of `names` for no entity, the beginning and the rest of a person, and a place. */
function entityOf(id: number): readonly number[] {
  const scores = new Map([
    [idOfToken('ada'), [0, 9, 0, 0]],
    [idOfToken('##s'), [0, 0, 9, 0]],
    [idOfToken('paris'), [0, 0, 0, 9]],
  ])
  return scores.get(id) ?? [9, 0, 0, 0]
}

/** The scores of the vocabulary in the place of a token of `gaps`: a mask is a film, or else good. */
function followerOf(id: number): readonly number[] {
  return VOCABULARY.map((token) => (id === idOfToken('[MASK]') ? (token === 'film' ? 3 : token === 'good' ? 2 : 0) : 0))
}

const PICTURES: Readonly<Record<string, TaskDescription>> = {
  colours: colourTask,
  areas: channelTask,
  things: {
    task: 'detect',
    sources: {},
    image: { ...SMALL, steps: [{ kind: 'warp', width: 8, height: 8, filter: 'bilinear' }] },
    boxes: { form: 'yolo', output: 'boxes', labels: ['cat', 'dog'], threshold: 0.25, overlapMax: 0.45, isAcrossClasses: false },
  },
}

/** How many of a word a text has, as the model of a score sees it. */
const countOf = (word: string, weight: number) => (id: number) => (id === idOfToken(word) ? weight : 0)

/** An engine with a small model for each task of texts, and one of tensors, `plain`. Two may have other names; those of pictures are there where they are asked for. */
export async function startDialectModels({ embedder = 'embedding', ranker = 'best', hasPictures = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-dialects-'))
  const path = join(folder, 'tokenizer.json')
  await Bun.write(path, bertTokenizer())
  const write = (name: string, model: Uint8Array) => Bun.write(join(folder, `models/${name}/1/model.onnx`), model)
  const [good, bad] = [countOf('good', 2), countOf('bad', 2)]
  await write(embedder, tokenModel(vectorOf))
  await write(
    'mood',
    sumModel((id) => [bad(id), good(id)]),
  )
  await write(
    ranker,
    sumModel((id) => [good(id)]),
  )
  await write('names', tokenModel(entityOf, 'logits'))
  await write(
    'topics',
    sumModel((id) => [0, 0, id === idOfToken('film') ? 1 : 0]),
  )
  await write('gaps', tokenModel(followerOf, 'logits'))
  await write('plain', identityModel('FP32', ['n', 2]))
  await write('secret', tokenModel(vectorOf))
  if (hasPictures) {
    await write('colours', colourModel())
    await write('areas', channelModel())
    await write('things', boxModel([[4, 4, 4, 4, 0.9, 0.1]], 8))
  }
  const text = await textInput(path, { prompts: { query: 'query: ', passage: 'good ' } })
  const embedding: TaskDescription = {
    task: 'embedding',
    sources: {},
    text,
    vector: {
      output: 'last_hidden_state',
      form: 'tokens',
      pooling: ['mean'],
      includesPrompt: true,
      dense: [],
      isNormalized: true,
      dimensions: 3,
      similarity: 'cosine',
    },
  }
  const scoring = { sources: {}, text: { ...text, prompts: {} } }
  const mood: TaskDescription = {
    ...scoring,
    task: 'classify',
    scores: { output: 'logits', labels: ['negative', 'positive'], activation: 'softmax' },
  }
  const best: TaskDescription = {
    ...scoring,
    task: 'rerank',
    scores: { output: 'logits', labels: ['LABEL_0'], activation: 'sigmoid' },
  }
  const scored = (task: TaskDescription['task'], labels: readonly string[]): TaskDescription => ({
    ...scoring,
    task,
    scores: { output: 'logits', labels, activation: 'softmax' },
  })
  const names = scored('tokens', ['O', 'B-PER', 'I-PER', 'B-LOC'])
  const topics = scored('zero-shot', ['contradiction', 'neutral', 'entailment'])
  const gaps = scored('fill', VOCABULARY)
  const inner = await bundledEngine(join(folder, 'models'))
  return {
    engine: withTasks(inner, {
      [embedder]: embedding,
      mood,
      [ranker]: best,
      names,
      topics,
      gaps,
      secret: embedding,
      ...(hasPictures && PICTURES),
    }),
    stop: async () => {
      await inner.stop()
      rmSync(folder, { recursive: true })
    },
  }
}
