/** What the primary forks. */
import { runWorker } from './worker.js';

runWorker();
