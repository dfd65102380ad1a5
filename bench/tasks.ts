import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { signJwt } from '../src/jose/sign.ts'
import { usableCores } from '../src/platform/cores.ts'
import { REAL_MODELS } from '../test/support/real-models.ts'
import { type Asked, atLeast, atMost } from './harness/asked.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { type Figure, figureOf } from './harness/measure.ts'
import { type Occasion, report, reportAsked, type Section } from './harness/report.ts'
import { putLoad } from './load/load.ts'
import { SECRET } from './servers/plan.ts'
import { freePort, stopGroup } from './servers/start.ts'
import { FAST_API, INFINITY, type TaskServer, VESTAL } from './task-servers/contestants.ts'
import { jpegs, mixedTexts, writeTaskModels } from './task-servers/models.ts'
import { type LoopResult, SHORT } from './task-servers/session-loop.ts'

export interface TaskSizes {
  readonly rounds: number
  readonly seconds: number
  /** Texts of the request that is computed while health is asked. */
  readonly texts: number
}

const [CALLERS, PICTURES] = [32, 16] as const
const START_MS_MAX = 60_000
/** Answers of contestants are the same up to this. */
const DIFFERENCE_MAX = 1e-3
const PERMISSIONS = ['model:minilm:predict', 'model:pictures:predict']
const AUTHORIZATION = `Bearer ${signJwt({ sub: 'bench', data: { permissions: PERMISSIONS } }, SECRET, { lifetimeSeconds: 3600 })}`
const SESSION = 'session.run'

interface Running {
  readonly server: TaskServer
  readonly child: Bun.Subprocess
  readonly base: string
}

/** What is measured in turns, by the name of a contestant. */
type Figures = ReadonlyMap<string, Figure>

/** `bun run bench tasks`: texts and pictures as clients send them. */
export async function benchTasks(sizes: TaskSizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion: Occasion = { machine: `${describeMachine()}; callers and servers share ${usableCores()} cores`, isKept }
  const { folder, hasTexts } = await writeTaskModels()
  if (!hasTexts) console.warn(`texts are left out: they need ${REAL_MODELS}`)
  const pictures = await jpegs(PICTURES)
  const running: Running[] = []
  endServersWithProgram()
  try {
    for (const server of [VESTAL, ...FAST_API, INFINITY]) {
      const each = await start(server, folder)
      if (each !== undefined) running.push(each)
    }
    await leaveOutOthers(running, hasTexts)
    await checkAnswers(running, { picture: pictures[0], hasTexts })
    if (hasTexts) await checkLoop(running, folder)
    const embedding = hasTexts ? await benchEmbeddings(running, folder, sizes) : undefined
    const short = hasTexts ? await benchShort(running, folder, sizes) : undefined
    const classes = await benchPictures(running, pictures, sizes)
    const health = hasTexts ? await benchHealth(running, pictures, sizes) : Number.NaN
    report(
      [embedding, short, classes].flatMap((each) => each?.section ?? []),
      occasion,
    )
    const asked = { embedding: embedding?.figures, short: short?.figures, classes: classes.figures, health, texts: sizes.texts }
    reportAsked({ id: 'tasks-asked', title: 'Targets of the tasks bench' }, askedOf(asked), occasion)
  } finally {
    for (const { child } of running) await stopGroup(child)
    rmSync(folder, { recursive: true })
  }
}

interface Measured {
  readonly embedding: Figures | undefined
  readonly short: Figures | undefined
  readonly classes: Figures
  readonly health: number
  readonly texts: number
}

function askedOf({ embedding, short, classes, health, texts }: Measured): readonly Asked[] {
  const of = (figures: Figures | undefined, name: string) => figures?.get(name)?.median ?? Number.NaN
  const best = (figures: Figures | undefined) => {
    const rates = FAST_API.map(({ name }) => of(figures, name)).filter(Number.isFinite)
    return rates.length === 0 ? Number.NaN : Math.max(...rates)
  }
  const ours = of(embedding, VESTAL.name)
  const mixed = `MiniLM, mixed lengths, ${CALLERS} callers`
  return [
    atLeast(mixed, 1.3, { ratio: ours / best(embedding), of: 'the best of FastAPI’s' }),
    atLeast(mixed, 1.3, { ratio: ours / of(embedding, INFINITY.name), of: INFINITY.name }),
    atLeast(mixed, 0.9, { ratio: ours / of(embedding, SESSION), of: `${SESSION} in a loop on the same batches` }),
    atMost('p50 of one short text, above tokenizing and session.run', 1, {
      value: of(short, VESTAL.name) - of(short, SESSION),
      unit: 'ms',
    }),
    atLeast(`${PICTURES} JPEGs of 1280×960 at once`, 1.5, {
      ratio: of(classes, VESTAL.name) / best(classes),
      of: 'the best of FastAPI’s',
    }),
    atMost(`p99 of health while ${texts} texts and ${PICTURES} pictures are computed`, 20, { value: health, unit: 'ms' }),
  ]
}

/** Servers in groups of their own, which get no Ctrl-C. */
const started = new Set<Bun.Subprocess>()

/** Ends them with this program where it ends in the middle. */
function endServersWithProgram(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  process.once('exit', () => {
    for (const { pid, exitCode, signalCode } of started) {
      if (exitCode !== null || signalCode !== null) continue
      try {
        process.kill(-pid, 'SIGKILL')
      } catch {
        // It has just ended.
      }
    }
  })
}

/** Starts a server, and gives it once it has named a class of a picture, or embedded a text where it takes none. */
async function start(server: TaskServer, folder: string): Promise<Running | undefined> {
  const port = freePort()
  const plan = await server.start(port, folder)
  if (plan === undefined) return undefined
  const child = Bun.spawn([...plan.command], {
    env: { ...process.env, ...plan.env },
    ...(plan.cwd !== undefined && { cwd: plan.cwd }),
    stdout: 'ignore',
    stderr: 'ignore',
    // A group of its own: some servers leave their workers behind.
    detached: true,
  })
  started.add(child)
  const base = `http://127.0.0.1:${port}`
  const [picture] = await jpegs(1)
  const deadline = Date.now() + (server.startMsMax ?? START_MS_MAX)
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      const asked =
        server.form === 'openai' || picture === undefined ? sendText({ server, base }, SHORT) : sendPicture(base, picture)
      if ((await asked).ok) return { server, child, base }
    } catch {
      // It does not listen yet.
    }
    await Bun.sleep(200)
  }
  await stopGroup(child)
  if (server === VESTAL) throw new Error('Vestal does not answer here')
  console.warn(`${server.name} does not answer here, and is left out`)
  return undefined
}

function sendText({ server, base }: Pick<Running, 'server' | 'base'>, input: string | readonly string[]): Promise<Response> {
  const isOpenAi = server.form === 'openai'
  return fetch(`${base}${isOpenAi ? '/embeddings' : '/models/minilm/predict/'}`, {
    method: 'POST',
    headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
    body: JSON.stringify({ input, ...(isOpenAi && { model: 'minilm' }) }),
  })
}

function sendPicture(base: string, body: Uint8Array<ArrayBuffer>): Promise<Response> {
  return fetch(`${base}/models/pictures/predict/`, {
    method: 'POST',
    headers: { authorization: AUTHORIZATION, 'content-type': 'image/jpeg' },
    body,
  })
}

/** Reads an answer whole, without looking at it. */
async function finished(answer: Promise<Response>): Promise<void> {
  const response = await answer
  const body = await response.arrayBuffer()
  if (!response.ok)
    throw new Error(`${response.url} answered ${response.status}: ${new TextDecoder().decode(body).slice(0, 200)}`)
}

interface Checked {
  readonly picture: Uint8Array<ArrayBuffer> | undefined
  readonly hasTexts: boolean
}

/** Takes away servers that compute another vector by a program of their own: they are slower or faster at something else. */
async function leaveOutOthers(running: Running[], hasTexts: boolean): Promise<void> {
  const [first] = running
  if (first === undefined || !hasTexts) return
  const vector = await vectorOf(first)
  for (const other of running.filter((each) => !takesPictures(each))) {
    const theirs = await vectorOf(other)
    if (isNear(theirs, vector)) continue
    const difference = Math.max(...vector.map((value, place) => Math.abs(value - (theirs[place] ?? 0))))
    console.warn(`${other.server.name} is left out: its vector differs by up to ${difference.toPrecision(2)} from Vestal’s`)
    running.splice(running.indexOf(other), 1)
    await stopGroup(other.child)
  }
}

/** Contestants must give the same vectors and the same scores before they are timed. */
async function checkAnswers(running: readonly Running[], { picture, hasTexts }: Checked): Promise<void> {
  // The cast: all servers answer in Vestal's form.
  const scoresOf = async ({ base }: Running) => {
    const { output } = (await (await sendPicture(base, picture ?? new Uint8Array())).json()) as {
      readonly output: readonly { readonly label: string; readonly score: number }[]
    }
    return { label: output[0]?.label, numbers: output.slice(0, 5).map(({ score }) => score) }
  }
  const [first, ...others] = running
  if (first === undefined) return
  const scores = await scoresOf(first)
  const vector = hasTexts ? await vectorOf(first) : []
  for (const other of others) {
    const theirs = takesPictures(other) ? await scoresOf(other) : scores
    const isSame = theirs.label === scores.label && isNear(theirs.numbers, scores.numbers)
    if (!isSame || (hasTexts && !isNear(await vectorOf(other), vector)))
      throw new Error(`${other.server.name} does not answer as ${first.server.name}`)
  }
}

function takesPictures({ server }: Running): boolean {
  return server.form !== 'openai'
}

async function vectorOf(running: Running): Promise<readonly number[]> {
  // The cast: servers answer in Vestal's form, or in that of OpenAI.
  const { output, data } = (await (await sendText(running, SHORT)).json()) as {
    readonly output?: readonly number[]
    readonly data?: readonly { readonly embedding: readonly number[] }[]
  }
  return output ?? data?.[0]?.embedding ?? []
}

async function checkLoop([first]: readonly Running[], folder: string): Promise<void> {
  const { vector } = await loop(folder, 'one', 0.1)
  if (first === undefined || !isNear(vector, await vectorOf(first))) throw new Error(`${SESSION} does not give Vestal’s vector`)
}

function isNear(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((value, place) => Math.abs(value - (other[place] ?? 0)) < DIFFERENCE_MAX)
}

interface Contestant {
  readonly name: string
  readonly note: string
  readonly measure: (seconds: number) => Promise<number>
}

/** Every contestant once to warm up, and then in turns. */
async function inTurns(contestants: readonly Contestant[], { rounds, seconds }: TaskSizes): Promise<Figures> {
  const samples = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (const { measure } of contestants) await measure(seconds / 5)
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, measure } of round % 2 === 0 ? contestants : [...contestants].reverse())
      samples.get(name)?.push(await measure(seconds))
  }
  return new Map([...samples].map(([name, values]) => [name, figureOf(values)]))
}

function sectionOf(section: Omit<Section, 'rows' | 'base'>, contestants: readonly Contestant[], figures: Figures) {
  const rows = contestants.flatMap(({ name, note }) => {
    const figure = figures.get(name)
    return figure === undefined ? [] : [{ name, note, figure }]
  })
  return { figures, section: { ...section, base: VESTAL.name, rows } }
}

async function benchEmbeddings(running: readonly Running[], folder: string, sizes: TaskSizes) {
  const texts = mixedTexts(320)
  const contestants: Contestant[] = running.map((each) => ({
    ...each.server,
    measure: async (seconds) => {
      let next = 0
      const callers = { count: CALLERS, seconds }
      return rateOf(callers, () => finished(sendText(each, texts[next++ % texts.length] ?? SHORT)))
    },
  }))
  const note = 'tokens of 32 texts ready in turn, in the runs that their lengths make; nothing around it, in Bun'
  contestants.push({ name: SESSION, note, measure: async (seconds) => (await loop(folder, 'batches', seconds)).perSecond })
  const figures = await inTurns(contestants, sizes)
  const text = `\`POST /models/minilm/predict/\` with one text of 3 to 200 words, ${CALLERS} callers, ${sizes.rounds} interleaved rounds of ${sizes.seconds} s.`
  const title = 'Embeddings of mixed lengths'
  return sectionOf({ id: 'tasks-embeddings', title, text, unit: 'texts a second', isLessBetter: false }, contestants, figures)
}

async function benchShort(running: readonly Running[], folder: string, sizes: TaskSizes) {
  const contestants: Contestant[] = running.map((each) => ({
    ...each.server,
    measure: (seconds) => p50Of(seconds, () => finished(sendText(each, SHORT))),
  }))
  const note = 'tokenizing, session.run, mean and length 1 in the caller’s own process, in Bun'
  contestants.push({ name: SESSION, note, measure: async (seconds) => (await loop(folder, 'one', seconds)).p50Ms })
  const figures = await inTurns(contestants, sizes)
  const text = `The text of ${SHORT.split(' ').length} words, one caller, ${sizes.rounds} interleaved rounds of ${sizes.seconds} s.`
  const title = 'One short text'
  return sectionOf({ id: 'tasks-short', title, text, unit: 'ms a text (p50)', isLessBetter: true }, contestants, figures)
}

async function benchPictures(running: readonly Running[], pictures: readonly Uint8Array<ArrayBuffer>[], sizes: TaskSizes) {
  const contestants: Contestant[] = running.filter(takesPictures).map(({ server, base }) => ({
    ...server,
    measure: async (seconds) => {
      const all = () => Promise.all(pictures.map((picture) => finished(sendPicture(base, picture))))
      return PICTURES * (await rateOf({ count: 1, seconds }, all))
    },
  }))
  const figures = await inTurns(contestants, sizes)
  const text = `\`POST /models/pictures/predict/\` with a JPEG of 1280×960, ${PICTURES} of them at once and again when all are answered, to a classifier of 224×224; ${sizes.rounds} interleaved rounds of ${sizes.seconds} s.`
  const title = 'JPEGs to a classifier'
  return sectionOf({ id: 'tasks-pictures', title, text, unit: 'pictures a second', isLessBetter: false }, contestants, figures)
}

/** The p99 of health in milliseconds, while Vestal computes a request of many texts and pictures beside it, over and over. */
async function benchHealth(running: readonly Running[], pictures: readonly Uint8Array<ArrayBuffer>[], sizes: TaskSizes) {
  const [vestal] = running
  if (vestal === undefined) return Number.NaN
  const { base } = vestal
  const texts = mixedTexts(sizes.texts)
  let isOver = false
  const repeat = async (work: () => Promise<unknown>) => {
    while (!isOver) await work()
  }
  const works = Promise.all([
    repeat(() => finished(sendText(vestal, texts))),
    repeat(() => Promise.all(pictures.map((picture) => finished(sendPicture(base, picture))))),
  ])
  const target = { url: `${base}/v2/health/live`, method: 'GET', headers: {} } as const
  try {
    const { p99Ms, failures } = await putLoad(target, {
      seconds: Math.ceil(sizes.seconds * sizes.rounds),
      connections: 1,
      isPinned: false,
    })
    if (failures > 0) throw new Error(`health failed ${failures} times`)
    return p99Ms
  } finally {
    isOver = true
    await works
  }
}

/** How often a second the callers together got an answer. */
async function rateOf({ count, seconds }: { readonly count: number; readonly seconds: number }, ask: () => Promise<unknown>) {
  const begun = performance.now()
  const end = begun + seconds * 1000
  let answers = 0
  const caller = async () => {
    while (performance.now() < end) {
      await ask()
      answers += 1
    }
  }
  await Promise.all(Array.from({ length: count }, caller))
  return (answers * 1000) / (performance.now() - begun)
}

async function p50Of(seconds: number, ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const sent = performance.now()
    await ask()
    times.push(performance.now() - sent)
  }
  return figureOf(times).median
}

/** MiniLM with nothing around it, in a process of its own, which has loaded it before the time begins. */
async function loop(folder: string, way: 'batches' | 'one', seconds: number): Promise<LoopResult> {
  const script = join(import.meta.dir, 'task-servers/session-loop.ts')
  const child = Bun.spawn([process.execPath, script, join(folder, 'minilm'), way, String(seconds)], {
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const printed = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error('the loop of session.run failed')
  // The cast: the script says what it prints.
  return JSON.parse(printed) as LoopResult
}
