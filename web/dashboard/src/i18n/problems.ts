/** Which of the server's problems have words of their own. */
import { enProblems } from "./en.problems.ts";

type Told = keyof typeof enProblems extends infer Key ? (Key extends `problem.of.${infer Code}.hint` ? Code : never) : never;

export const isTold = (code: string): code is Told => Object.hasOwn(enProblems, `problem.of.${code}.hint`);
