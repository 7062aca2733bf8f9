#!/usr/bin/env bash
# Makes tests/exporters/grafana/dashboard.schema.json, a JSON schema of Grafana's own types of dashboards, with which a test reads
# docs/grafana/*.json. Needs npm. For a newer Grafana: change the version in package.json, and run this.
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
target=$source/../../tests/exporters/grafana
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$source"/{dashboard.ts,package.json,tsconfig.json} "$work"
cd "$work"
npm install --no-audit --no-fund --ignore-scripts --silent
npx tsc -p .
npx ts-json-schema-generator --path dashboard.ts --tsconfig tsconfig.json --type Dashboard --expose none --out whole.json
# Without the descriptions, which are half of it.
node -e '
    const bare = (value) => {
        if (value && typeof value === "object") {
            if (typeof value.description === "string") delete value.description;
            Object.values(value).forEach(bare);
        }
        return value;
    };
    const schema = bare(require("./whole.json"));
    const version = require("@grafana/schema/package.json").version;
    const made = `Made by tools/grafana-schema/make.sh from @grafana/schema ${version}, Copyright Grafana Labs, Apache License 2.0`;
    process.stdout.write(JSON.stringify({ $comment: made, ...schema }, null, 1) + "\n");
' >"$target/dashboard.schema.json"
cp node_modules/@grafana/schema/LICENSE_APACHE2 "$target/dashboard.schema.LICENSE"
