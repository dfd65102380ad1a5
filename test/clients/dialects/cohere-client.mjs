// @ts-nocheck: Node runs this as it is.
// cohere-ai for JavaScript, its second version.
import { CohereClientV2 } from 'cohere-ai'
import { BASE, BUSY, failure, OTHER, TOKEN, tell, WRONG } from './seen.mjs'

const client = ({ environment = BASE, token = TOKEN } = {}) => new CohereClientV2({ token, environment })
const once = { maxRetries: 0 }
const embed = (of, model = 'minilm') =>
  of.embed({ model, texts: ['good'], inputType: 'search_query', embeddingTypes: ['float', 'ubinary'] }, once)
const rerank = (of, model = 'ranker') => of.rerank({ model, query: 'alpha', documents: ['bad', 'good'] }, once)

const { embeddings, meta } = await embed(client())
tell({
  length: embeddings.float[0].length,
  bits: embeddings.ubinary,
  tokens: meta.billedUnits.inputTokens,
  ranks: (await rerank(client())).results.map(({ index }) => index),
  wrong: await failure(() => embed(client({ token: WRONG }))),
  other: await failure(() => rerank(client({ token: OTHER }))),
  unknown: await failure(() => rerank(client(), 'nothing')),
  busy: await failure(() => embed(client({ environment: BUSY }))),
})
