// Scans FOLDER with the program as it was joined, and keeps the code that V8 compiled for it where the program finds it at its next start.
//   node scripts/keep-code.cjs FOLDER
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const v8 = require('node:v8');
const { start, kept, CODE } = require('../dist/program/start.js');

// V8 takes code only where its flags are what they were when it was kept: at the start of a process, that is as they come.
v8.setFlagsFromString = () => undefined;

const [, , folder] = process.argv;
process.argv = [process.argv[0], join(__dirname, '../dist/program/main.js'), 'scan', '--quiet', folder];
const { script, source } = start('main');
process.on('exit', () => {
  writeFileSync(CODE, kept(source, script.createCachedData()));
  // Samples hold viruses: that they are found is no failure here.
  if (process.exitCode === 1) process.exitCode = 0;
});
