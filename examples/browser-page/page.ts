/** Signs in, lets somebody draw in a grid of 8 × 8, and has the model `digits` read it. */
const [SIZE, INK, EDGE] = [8, 16, 8]
const find = <T extends Element>(selector: string) => document.querySelector<T>(selector) as T
const [form, main, grid, output] = [
  find<HTMLFormElement>('form'),
  find<HTMLElement>('main'),
  find('#grid'),
  find<HTMLOutputElement>('output'),
]
const pixels = new Array<number>(SIZE * SIZE).fill(0)
// The token stays in memory: a page that stores it gives it to every script of its origin.
let token = ''
let server = ''

async function ask(path: string, body: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(server + path, { method: 'POST', headers, body: JSON.stringify(body) })
  const content = await answer.json()
  if (answer.ok) return content
  throw new Error(`${answer.status}: ${content.detail}`)
}

/** Runs what a button does, and shows why it could not be done. */
function show(work: () => Promise<string>): void {
  work().then(
    (text) => (output.value = text),
    (error) => (output.value = error.message),
  )
}

form.onsubmit = (event) => {
  event.preventDefault()
  const { server: address, name, password } = Object.fromEntries(new FormData(form))
  show(async () => {
    server = new URL(String(address)).origin
    ;({ token } = (await ask('/auth/', { name, password })) as { token: string })
    ;[form.hidden, main.hidden] = [true, false]
    return ''
  })
}

function paint(index: number, ink: number): void {
  pixels[index] = Math.max(pixels[index] ?? 0, ink)
  const cell = grid.children[index]
  if (cell instanceof HTMLElement) cell.style.background = `rgb(64 128 255 / ${(pixels[index] ?? 0) / INK})`
}

grid.append(...pixels.map(() => document.createElement('i')))
grid.addEventListener('pointermove', (event) => {
  if (!(event instanceof PointerEvent) || event.buttons === 0) return
  // Also for a finger, which keeps the element where it began.
  const at = [...grid.children].indexOf(document.elementFromPoint(event.clientX, event.clientY) as Element)
  if (at === -1) return
  paint(at, INK)
  for (const side of [at - 1, at + 1]) if (Math.floor(side / SIZE) === Math.floor(at / SIZE)) paint(side, EDGE)
})

find<HTMLButtonElement>('#read').onclick = () =>
  show(async () => {
    const { output: rows } = (await ask('/models/digits/predict/', { input: [pixels] })) as {
      output: readonly { label: number; probabilities: Readonly<Record<string, number>> }[]
    }
    const [{ label, probabilities } = { label: -1, probabilities: {} }] = rows
    return `${label}, ${Math.round(100 * (probabilities[label] ?? 0))} %`
  })

find<HTMLButtonElement>('#clear').onclick = () => {
  pixels.fill(0)
  for (const cell of grid.children) cell.removeAttribute('style')
  output.value = ''
}
