import { parseArgs } from 'node:util'
import { type Bench, benchAll } from './all.ts'
import { benchCompare, type CompareSizes } from './compare.ts'
import { benchEngine, type EngineSizes } from './engine.ts'
import { benchHttp } from './http.ts'
import { benchJson } from './json.ts'
import { benchMemory } from './memory.ts'
import { benchServing, PEERS } from './serving.ts'
import { benchSign } from './sign.ts'
import { benchSignIn } from './sign-in.ts'
import { benchStart } from './start.ts'
import { benchSteady } from './steady.ts'
import { benchTasks } from './tasks.ts'
import { benchTensor } from './tensor.ts'
import { benchAccessLog, benchProcesses } from './variants.ts'
import { benchTokens, benchVerify, type VerifySizes } from './verify.ts'

const HELP = `Usage: bun run bench <name> [--quick]
       bun run bench all [--only <names>] [--skip <names>] [--peers all|fast|none] [--quick]
       bun run bench compare [COMMIT] [--quick]

As users start it (bun run start, default settings, its log in a file that is read):
  serving     one row of digits: one caller, 64, a constant rate, and all on one core; Vestal and its variants, a bare Bun.serve, Rust, FastAPI,
              MLServer, LitServe, BentoML, Ray Serve, PyTriton in one interleaved run
  tokens      a route that asks for a token, the same one or always a new one: Vestal and servers of Bun, Node, Rust and Go
  json        a picture as JSON and health meanwhile, beside FastAPI; 8 MB both ways
  access-log  each route with the access log and without
  processes   two HTTP processes and one
  start       from the command to readiness: the bundled models, and a model of 500 MB beside onnxruntime in Python
  steady      memory over --minutes (20) at 80 % of the peak
  tasks       texts to MiniLM and JPEGs to a classifier: Vestal, FastAPI and the session alone; health meanwhile
  memory      bombs, stalled uploads, unread answers and sockets of one subject: the server's memory, and another subject's times
  compare     this checkout and another commit in turns; ends with 1 where a row takes over 15 % more processor time. Without a commit it is that
              of bench/compare/base; without that one in the clone nothing is compared
Parts alone:
  verify      checking tokens: libraries, backends, WebAssembly and the cache; a flood of bad ones
  http        public, protected and predict routes under load: the library and a bare Bun.serve that does the same by hand
  engine      models: batches on and off, one caller, ways to a worker, health while models compute, memory
  tensor      an FP32 tensor of 8 MB there and back, in binary and in JSON
  sign        making tokens: Vestal and other libraries
  sign-in     rejected sign-ins of names that exist and names that do not: the times must be the same
All:
  all         all but compare and steady; --only and --skip take names with commas between
  --peers     which servers of others take part in serving: all, fast (those that install in a minute) or none; the page says which did not run
  --quick     short rounds, and nothing that has to be built, to see that it works; nothing to rely on

Tables and charts go to docs/reference/evidence/benchmarks.md, and what the targets got to its head, but for a quick run's. The load goes to this machine alone and
stops by itself; wrk makes it where it is installed. Servers in Rust, Go and Python take part where cargo, go and python3 are installed, and are built in the user’s cache.
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'all' },
    only: { type: 'string' },
    skip: { type: 'string' },
    minutes: { type: 'string', default: '20' },
  },
})
const { quick } = values
const isKept = !quick
const VERIFY: VerifySizes = quick
  ? {
      rounds: { rounds: 3, roundMs: 20 },
      flood: { requests: 10_000, seconds: 1 },
    }
  : {
      rounds: { rounds: 15, roundMs: 120 },
      flood: { requests: 1_000_000, seconds: 3 },
    }
const ENGINE: EngineSizes = quick
  ? { rounds: { rounds: 3, roundMs: 20 }, batching: { rounds: 2, roundMs: 150 }, liveSeconds: 1 }
  : { rounds: { rounds: 15, roundMs: 120 }, batching: { rounds: 9, roundMs: 600 }, liveSeconds: 6 }
const PAIRS = quick ? { pairs: 1, seconds: 1 } : { pairs: 5, seconds: 2 }
const COMPARE: CompareSizes = quick
  ? { pairs: 3, seconds: 1, attempts: 3, confirmSecondsMax: 120 }
  : { pairs: 8, seconds: 2, attempts: 3, confirmSecondsMax: 600 }

function peersOf(name: string): keyof typeof PEERS {
  if (quick) return 'none'
  if (Object.hasOwn(PEERS, name)) return name as keyof typeof PEERS
  throw new Error(`--peers is ${name}; it may be ${Object.keys(PEERS).join(', ')}`)
}

const serving = { ...(quick ? { rounds: 1, seconds: 1 } : { rounds: 4, seconds: 2 }), peers: peersOf(values.peers) }
/** In the order in which `all` runs them. */
const BENCHES: readonly Bench[] = [
  { name: 'serving', run: () => benchServing(serving, isKept) },
  { name: 'access-log', run: () => benchAccessLog(PAIRS, isKept) },
  {
    name: 'tokens',
    run: () => benchTokens(quick ? { rounds: 1, seconds: 1, isQuick: true } : { rounds: 4, seconds: 2, isQuick: false }, isKept),
  },
  {
    name: 'json',
    run: () => benchJson(quick ? { rounds: 1, seconds: 1, isAlone: true } : { rounds: 4, seconds: 3, isAlone: false }, isKept),
  },
  { name: 'processes', run: () => benchProcesses(PAIRS, isKept) },
  {
    name: 'start',
    run: () =>
      benchStart(quick ? { rounds: 1, mebibytes: 32, isAlone: true } : { rounds: 5, mebibytes: 500, isAlone: false }, isKept),
  },
  { name: 'verify', run: () => benchVerify(VERIFY, isKept) },
  { name: 'engine', run: () => benchEngine(ENGINE, isKept) },
  { name: 'tensor', run: () => benchTensor(quick ? { rounds: 1, requests: 2 } : { rounds: 7, requests: 5 }, isKept) },
  { name: 'http', run: () => benchHttp(quick ? { rounds: 1, seconds: 1 } : { rounds: 5, seconds: 3 }, isKept) },
  { name: 'sign', run: () => benchSign(VERIFY.rounds, isKept) },
  { name: 'sign-in', run: () => benchSignIn(quick ? 10 : 200, isKept) },
  {
    name: 'tasks',
    run: () => benchTasks(quick ? { rounds: 1, seconds: 0.5, texts: 64 } : { rounds: 5, seconds: 6, texts: 2048 }, isKept),
  },
  { name: 'memory', run: () => benchMemory(quick ? { rounds: 1, seconds: 2 } : { rounds: 3, seconds: 6 }, isKept) },
]
/** Alone, since it takes as long as all the others. */
const STEADY: Bench = {
  name: 'steady',
  run: () => benchSteady(quick ? { minutes: 0.1, seconds: 1 } : { minutes: Number(values.minutes), seconds: 20 }, isKept),
}

const [name, commit] = positionals
const bench = [...BENCHES, STEADY].find((each) => each.name === name)
if (values.help) console.log(HELP)
else if (name === 'compare') process.exit((await benchCompare(commit, COMPARE)) ? 0 : 1)
else if (name === 'all') {
  const choice = { only: values.only?.split(','), skip: values.skip?.split(',') ?? [] }
  process.exit((await benchAll(BENCHES, choice)) ? 0 : 1)
} else if (bench !== undefined) await bench.run()
else {
  console.error(HELP)
  process.exitCode = 2
}
