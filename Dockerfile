# millrace with what it needs at run time. ClickHouse is a server of its own here: the embedded one is left out.
FROM node:22-slim AS build
WORKDIR /millrace
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=optional
COPY tsconfig.json tsconfig.build.json ./
COPY schemas schemas
COPY operators operators
COPY infra infra
COPY pipelines pipelines
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:22-slim
WORKDIR /millrace
COPY --from=build /millrace/package.json ./
COPY --from=build /millrace/node_modules node_modules
COPY --from=build /millrace/dist dist
COPY schemas schemas
COPY bin bin
USER node
EXPOSE 8080
CMD ["node", "bin/millrace.mjs", "run", "all"]
