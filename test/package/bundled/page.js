import { check } from './check.js'

/** @param {Parameters<typeof check>[0]} cases */
function checkInWorker(cases) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage(cases)
  })
}

Object.assign(globalThis, { check, checkInWorker })
