/** An attack that is kept up until this process gets SIGTERM: run by `bench/memory.ts` as a process of its own. */
import { ATTACKS, type AttackOrder, type AttackOutcome } from './attacks.ts'

const { attack: name, victim } = JSON.parse(process.argv[2] ?? '{}') as AttackOrder
const begin = ATTACKS[name]
if (begin === undefined) throw new Error(`there is no attack '${name}'`)

const over = new Promise<void>((resolve) => void process.on('SIGTERM', resolve))
const counts = new Map<number, number>()
let isOver = false
void over.then(() => {
  isOver = true
})
console.log('begins')
while (!isOver) {
  const attack = begin(victim)
  await Promise.race([attack.isUnderWay, over])
  // What is held stays, and where nothing is held the attack begins again.
  if (attack.statuses().some((status) => status === 0 || status === 101 || status === 200)) await over
  for (const status of attack.statuses()) counts.set(status, (counts.get(status) ?? 0) + 1)
  attack.stop()
}
const outcome: AttackOutcome = [...counts].sort(([a], [b]) => a - b)
console.log(JSON.stringify(outcome))
process.exit(0)
