// @ts-nocheck: Node runs this as it is.
// @huggingface/inference, which asks again after a 503, without end and without a pause.
import { readFileSync } from 'node:fs'
import { InferenceClient } from '@huggingface/inference'
import { BASE, BUSY, failure, OTHER, TOKEN, tell, WRONG } from './seen.mjs'

const model = (name, { base = BASE, token = TOKEN } = {}) => new InferenceClient(token).endpoint(`${base}/models/${name}`)
const classify = (of) => of.textClassification({ inputs: 'bad' })

const picture = new Blob([readFileSync(process.env.PICTURE)], { type: 'image/png' })

tell({
  features: (await model('minilm').featureExtraction({ inputs: ['good', 'bad'] })).map(({ length }) => length),
  similarity: (await model('minilm').sentenceSimilarity({ inputs: { source_sentence: 'good', sentences: ['good'] } })).map(
    (cosine) => Number(cosine.toFixed(4)),
  ),
  classes: (await classify(model('mood'))).map(({ label }) => label),
  entities: (await model('names').tokenClassification({ inputs: 'ada is paris' })).map(({ entity_group, start, end }) => [
    entity_group,
    start,
    end,
  ]),
  topics: (
    await model('topics').zeroShotClassification({ inputs: 'alpha', parameters: { candidate_labels: ['good', 'film'] } })
  ).map(({ label }) => label),
  filled: (await model('gaps').fillMask({ inputs: 'good [MASK]', parameters: { top_k: 1 } })).map(({ sequence }) => sequence),
  colours: (await model('colours').imageClassification({ data: picture }))[0].label,
  things: (await model('things').objectDetection({ data: picture })).map(({ label, box }) => [label, box.xmax]),
  areas: (await model('areas').imageSegmentation({ inputs: picture })).map(({ label }) => label),
  wrong: await failure(() => classify(model('mood', { token: WRONG }))),
  none: await failure(() => classify(model('mood', { token: '' }))),
  other: await failure(() => classify(model('mood', { token: OTHER }))),
  unknown: await failure(() => classify(model('nothing'))),
  task: await failure(() => classify(model('plain'))),
  busy: await failure(() => classify(model('mood', { base: BUSY }))),
})
