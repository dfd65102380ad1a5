import { bytes, integer, line, listenHost, oneOf, path, seconds } from '../readers.ts'
import { single } from './row.ts'

/** How the server listens, what it keeps and what it says of itself. */
export const SERVER = {
  host: single(listenHost(), '127.0.0.1', {
    value: 'ADDRESS',
    help: 'Address to listen on. Any but a loopback address means production mode.',
  }),
  port: single(integer(0, 65_535), 8000, {
    help: 'Port to listen on; 0 picks a free one.',
  }),
  data: single(path(), 'data', {
    value: 'FOLDER',
    help: "Folder for the server's files: development secret, key file, database, audit log.",
  }),
  bodyBytesMax: single(bytes(1024, 2 ** 31), 64 * 1024 * 1024, {
    help: 'Longest body of a prediction; a longer one is rejected with 413.',
  }),
  expansionRatioMax: single(integer(1, 10_000), 100, {
    help: 'Times its size that a compressed body may expand to beyond 8 MiB; more is rejected with 413.',
  }),
  messageBytesMax: single(bytes(1024, 2 ** 31), 1024 * 1024, {
    help: 'Longest message of a WebSocket, or `body_bytes_max` if that is less; a longer one closes it. Each open socket counts with this much against `subject_bytes_max`.',
  }),
  mediaProcessesMax: single(integer(1, 64), 2, {
    help: 'Processes that decode pictures, and pictures decoded at once. They start with the first picture, and end after a minute without one.',
  }),
  shutdownSeconds: single(seconds(0, 600), 7, {
    help: 'Seconds that pending requests may take to finish when the server stops.',
  }),
  title: single(line(100), 'Vestal', {
    help: 'Name shown by /, /public/info/ and /docs/.',
  }),
  description: single(line(500), 'ONNX models behind JSON Web Tokens: every route and every model requires a permission.', {
    help: 'Text shown by /, /public/info/ and /docs/.',
  }),
  homePage: single(oneOf('on', 'off'), 'on', {
    help: 'A page at `/` that says what the server is and whether it is ready, and pages for errors in a browser; programs get JSON. With off, `/` is a 404 and every error is JSON.',
  }),
  tokenIds: single(oneOf('on', 'off'), 'off', {
    help: 'Ids of tokens in the place of texts, in the dialects of OpenAI and Text Embeddings Inference. With off they are rejected: most clients make them with the tokenizer of a different model, and would get vectors without meaning.',
  }),
  docsPage: single(oneOf('on', 'off'), 'on', {
    help: 'The documentation at `/docs/` and its OpenAPI document, for anybody; with off, both are a 404.',
  }),
}
