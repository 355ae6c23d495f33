// Lines that came and are not judged yet: a window is judged when later lines come, so the last of an old log wait.

export const waitingWords = (lines: number, grouped: (value: number) => string): string => `${grouped(lines)} ${lines === 1 ? "line waits" : "lines wait"} for later ones and ${lines === 1 ? "is" : "are"} not judged yet`;
