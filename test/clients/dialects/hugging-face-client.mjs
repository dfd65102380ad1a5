// @ts-nocheck: Node runs this as it is.
// @huggingface/inference, which asks again after a 503, without end and without a pause.
import { InferenceClient } from '@huggingface/inference'
import { BASE, BUSY, failure, OTHER, TOKEN, tell, WRONG } from './seen.mjs'

const model = (name, { base = BASE, token = TOKEN } = {}) => new InferenceClient(token).endpoint(`${base}/models/${name}`)
const classify = (of) => of.textClassification({ inputs: 'bad' })

tell({
  features: (await model('minilm').featureExtraction({ inputs: ['good', 'bad'] })).map(({ length }) => length),
  similarity: (await model('minilm').sentenceSimilarity({ inputs: { source_sentence: 'good', sentences: ['good'] } })).map(
    (cosine) => Number(cosine.toFixed(4)),
  ),
  classes: (await classify(model('mood'))).map(({ label }) => label),
  wrong: await failure(() => classify(model('mood', { token: WRONG }))),
  none: await failure(() => classify(model('mood', { token: '' }))),
  other: await failure(() => classify(model('mood', { token: OTHER }))),
  unknown: await failure(() => classify(model('nothing'))),
  task: await failure(() => classify(model('plain'))),
  busy: await failure(() => classify(model('mood', { base: BUSY }))),
})
