import { setDefaultTimeout } from 'bun:test'

// Some tests start processes, and the machine may be busy with others.
setDefaultTimeout(30_000)
