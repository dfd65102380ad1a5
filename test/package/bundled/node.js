import { check } from './check.js'

void check(JSON.parse(process.argv[2] ?? '[]')).then((answers) => console.log(JSON.stringify(answers)))
