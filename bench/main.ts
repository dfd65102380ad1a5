import { parseArgs } from 'node:util'
import { benchCompare, type CompareSizes } from './compare.ts'
import { benchEngine, type EngineSizes } from './engine.ts'
import { benchHttp } from './http.ts'
import { benchMemory } from './memory.ts'
import { benchServing } from './serving.ts'
import { benchSign } from './sign.ts'
import { benchSignIn } from './sign-in.ts'
import { benchTasks } from './tasks.ts'
import { benchTensor } from './tensor.ts'
import { benchVerify, type VerifySizes } from './verify.ts'

const HELP = `Usage: bun run bench <verify|sign|sign-in|http|engine|serving|tasks|tensor|memory> [--quick]
       bun run bench compare [COMMIT] [--quick]

  verify   tokens: libraries, engines, WebAssembly and the cache; servers of Bun, Node, Rust and Go under load; a flood of bad ones
  sign     making tokens: Vestal and other libraries
  sign-in  refused sign-ins of names that are there and names that are not: the times must be the same
  http     public, protected and predict routes under load: Vestal and a bare Bun.serve that does the same by hand
  engine   models: batches on and off, one caller, ways to a worker, health while models compute, memory
  serving  one row of digits: Vestal protected, a bare Bun.serve, Rust, FastAPI, MLServer, LitServe and BentoML in one interleaved run
  tasks    texts to MiniLM and JPEGs to a classifier: Vestal, FastAPI and the session alone; health meanwhile
  tensor   an FP32 tensor of 8 MB there and back, in binary and in JSON
  memory   bombs, stalled uploads, unread answers and sockets of one subject: the server's memory, and another subject's times
  compare  this checkout and another commit in turns, both started by bun run start; fails where a row takes over 15 % more processor time.
           Without a commit it is that of bench/compare/base; without that one in the clone nothing is compared
  --quick  short rounds, and nothing that has to be built, to see that it works; nothing to rely on

Tables and charts go to docs/reference/evidence/benchmarks.md, but for a quick run's. The load goes to this machine alone and stops by itself; wrk makes it where it is installed.
Servers in Rust, Go and Python take part where cargo, go and python3 are installed, and are built in the user’s cache. All of it takes under ten minutes.
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
})
const QUICK: VerifySizes = {
  rounds: { rounds: 3, roundMs: 20 },
  served: { rounds: 1, seconds: 1, isQuick: true },
  flood: { requests: 10_000, seconds: 1 },
}
const FULL: VerifySizes = {
  rounds: { rounds: 15, roundMs: 120 },
  served: { rounds: 4, seconds: 2, isQuick: false },
  flood: { requests: 1_000_000, seconds: 3 },
}

const ENGINE_QUICK: EngineSizes = {
  rounds: { rounds: 3, roundMs: 20 },
  batching: { rounds: 2, roundMs: 150 },
  liveSeconds: 1,
}
const ENGINE_FULL: EngineSizes = {
  rounds: { rounds: 15, roundMs: 120 },
  batching: { rounds: 9, roundMs: 600 },
  liveSeconds: 6,
}

const COMPARE_QUICK: CompareSizes = { pairs: 3, seconds: 1, attempts: 3, secondsMax: 150 }
const COMPARE_FULL: CompareSizes = { pairs: 8, seconds: 2, attempts: 3, secondsMax: 900 }

if (values.help) console.log(HELP)
else if (positionals[0] === 'compare') {
  const isKept = await benchCompare(positionals[1], values.quick ? COMPARE_QUICK : COMPARE_FULL)
  process.exit(isKept ? 0 : 1)
} else if (positionals[0] === 'verify') await benchVerify(values.quick ? QUICK : FULL, !values.quick)
else if (positionals[0] === 'sign') await benchSign((values.quick ? QUICK : FULL).rounds, !values.quick)
else if (positionals[0] === 'engine') await benchEngine(values.quick ? ENGINE_QUICK : ENGINE_FULL, !values.quick)
else if (positionals[0] === 'sign-in') await benchSignIn(values.quick ? 10 : 200, !values.quick)
else if (positionals[0] === 'http') {
  await benchHttp(values.quick ? { rounds: 1, seconds: 1 } : { rounds: 5, seconds: 3 }, !values.quick)
} else if (positionals[0] === 'serving') {
  await benchServing({ ...(values.quick ? { rounds: 1, seconds: 1 } : { rounds: 5, seconds: 3 }), isQuick: values.quick })
} else if (positionals[0] === 'tasks') {
  await benchTasks(values.quick ? { rounds: 1, seconds: 0.5, texts: 64 } : { rounds: 5, seconds: 6, texts: 2048 }, !values.quick)
} else if (positionals[0] === 'tensor') {
  await benchTensor(values.quick ? { rounds: 1, requests: 2 } : { rounds: 7, requests: 5 }, !values.quick)
} else if (positionals[0] === 'memory') {
  await benchMemory(values.quick ? { rounds: 1, seconds: 2 } : { rounds: 3, seconds: 6 }, !values.quick)
} else {
  console.error(HELP)
  process.exitCode = 2
}
