// What is known of the managers: their last state, and the points of the last hour in two steps.

const MOST = [600, 360];

export class Store {
  constructor() {
    this.columns = [];
    this.managers = [];
    this.now = 0;
  }

  hello(data) {
    this.columns = data.columns;
    this.now = data.now;
    this.managers = data.managers;
  }

  tick(data) {
    this.now = data.now;
    data.managers.forEach((fresh, index) => {
      const history = this.managers[index].history;
      fresh.points.forEach((point, step) => {
        if (point) this.add(history[step], point, MOST[step]);
      });
      this.managers[index] = { ...fresh, history };
    });
  }

  add(history, point, most) {
    ["at", ...this.columns].forEach((name, index) => {
      history[name].push(point[index]);
      if (history[name].length > most) history[name].shift();
    });
  }
}

// The last value of a column that is one, of the last few points.
export function latest(history, name, within = 1) {
  const values = history[name];
  for (let index = values.length - 1; index >= Math.max(0, values.length - within); index -= 1) {
    if (values[index] != null) return values[index];
  }
  return null;
}
