import { parseArgs } from 'node:util'
import { benchHttp } from './http.ts'
import { benchVerify } from './verify.ts'

const HELP = `Usage: bun run bench <verify|http> [--quick]

  verify   one token: Vestal, @node-rs/jsonwebtoken, jose, fast-jwt, jsonwebtoken and hono/jwt in one interleaved run
  http     public, protected and predict routes under load: Vestal and a bare Bun.serve that does the same by hand
  --quick  short rounds, to see that it works; nothing to rely on

Tables and charts go to docs/benchmarks.md. The load goes to this machine alone and stops by itself.
`

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
})
const rounds = values.quick ? { rounds: 3, roundMs: 20 } : { rounds: 15, roundMs: 120 }

if (values.help) console.log(HELP)
else if (positionals[0] === 'verify') await benchVerify(rounds)
else if (positionals[0] === 'http') await benchHttp(values.quick ? { rounds: 1, seconds: 1 } : { rounds: 5, seconds: 3 })
else {
  console.error(HELP)
  process.exitCode = 2
}
