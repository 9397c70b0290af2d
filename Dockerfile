# The daemon in one image: bundled, with sharp for previews and no other npm package, as an ordinary user.
#   docker build -t image-storage .       (podman build --format docker -t image-storage .)
#   docker run -v images:/outputs --network container:my-generator image-storage

FROM --platform=$BUILDPLATFORM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:24.21.0-bookworm-slim
LABEL org.opencontainers.image.title="image-storage" \
      org.opencontainers.image.description="A gRPC storage daemon for generated images" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/bin bin
COPY --from=build /build/dist dist
# Native, and so not in the bundle, nor of the machine that builds. Without it there are no previews.
RUN npm install --prefix /tmp/sharp --no-audit --no-fund "sharp@$(node -p 'require("./package.json").devDependencies.sharp')" \
 && mv /tmp/sharp/node_modules node_modules \
 && rm -r /tmp/sharp /root/.npm
# A fresh volume takes its owner from the folder below it.
RUN ln -s /app/bin/image-storage.js /usr/local/bin/image-storage \
 && mkdir /outputs /run/image-storage \
 && chown node:node /outputs /run/image-storage
USER node
ENV NODE_ENV=production
# So that the default folder, ./outputs, is the volume; a variable would add a provider to any that is configured.
WORKDIR /
VOLUME /outputs
# The default address is 127.0.0.1:50051: reached by whoever shares the network namespace (a pod, --network container:…).
# For anyone else, share a Unix socket, as in examples/compose; a published port does not reach a loopback address.
EXPOSE 50051
STOPSIGNAL SIGTERM
# Asks where IMAGE_STORAGE_ADDRESS says: set it together with IMAGE_STORAGE_LISTEN. Without --start-interval, which older
# builders (Buildah and Podman of Debian 12) do not know.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["image-storage", "health"]
ENTRYPOINT ["image-storage"]
CMD ["serve"]
