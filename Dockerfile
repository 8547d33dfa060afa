# The service. Built from the top of the repository:
#   docker build -t token-broker .

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
# The simulator is no part of the service; docker-compose.yml runs it beside.
RUN npm run build && mv dist/simulator simulator/dist && rm -rf dist/bench && npm run --silent sbom > sbom.json

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# What is optional is a PostgreSQL and a Node: a container has its own Node, and its database elsewhere.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-slim AS simulator
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/simulator/dist dist/simulator
USER 1000:1000
EXPOSE 8090
ENTRYPOINT ["node"]
CMD ["dist/simulator/main.js"]

FROM node:24-slim
# Health and metrics have a port to themselves, in plain http even where PORT speaks TLS.
ENV NODE_ENV=production OPS_PORT=9090
WORKDIR /app
COPY --from=build /app/package.json /app/sbom.json ./
# For what is not packed: the commands of dist/cli, AWS KMS's client, and the files of Swagger UI.
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/config config
COPY --from=build /app/migrations migrations
COPY --from=build /app/dist dist
# By its number, so that a platform can see that it is not root. Nothing is ever written: the root may be read-only.
USER 1000:1000
EXPOSE 8080 8081 9090
# The process alone, as /health/live: whoever restarts what is unhealthy must not do so for a database's trouble.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.OPS_PORT}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=16", "--no-parallel-scavenge", "--heap-growing-percent=30", "--expose-gc"]
CMD ["dist/packed/main.js"]
