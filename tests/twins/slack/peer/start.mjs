// The peer's Slack, on loopback: node start.mjs PORT SIGNING_SECRET EVENTS_URL
// Its event subscriptions can be set by no seed and no flag, so they are added where its plugin registers.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [port, secret, url] = process.argv.slice(2);
const dist = join(dirname(fileURLToPath(import.meta.url)), "node_modules/emulate/dist");
const exported = (file) => readFileSync(join(dist, file), "utf8").split("\nexport {").pop();
const plugin = readdirSync(dist).find((file) => /^dist-.*\.js$/.test(file) && /\bslackPlugin\b/.test(exported(file)));
const { slackPlugin } = await import(pathToFileURL(join(dist, plugin)));
const register = slackPlugin.register;
slackPlugin.register = function (app, store, webhooks, ...rest) {
  register.call(this, app, store, webhooks, ...rest);
  if (url) webhooks.register({ url, events: ["*"], active: true, owner: "slack" });
};
const { createEmulator } = await import(pathToFileURL(join(dist, "api.js")));
const scopes = [
  "channels:history", "channels:read", "chat:write", "commands", "files:read", "files:write", "groups:history",
  "groups:read", "im:history", "im:read", "im:write", "usergroups:read", "users:read",
];
await createEmulator({
  service: "slack",
  port: Number(port),
  seed: {
    tokens: {},
    slack: {
      signing_secret: secret,
      strict_scopes: true,
      users: [{ name: "ann", real_name: "Ann" }, { name: "bob" }],
      channels: [{ name: "ml" }],
      oauth_apps: [{
        client_id: "1.2", client_secret: "s", app_id: "A0APP", name: "threadtune", bot_name: "threadtune",
        bot_id: "B0BOT", bot_user_id: "U0BOT", redirect_uris: ["http://127.0.0.1/"], scopes,
      }],
      tokens: [
        { token: "xoxb-bot", type: "bot", user_id: "U0BOT", app_id: "A0APP", client_id: "1.2", bot_id: "B0BOT", bot_user_id: "U0BOT", scopes },
        { token: "xoxb-narrow", type: "bot", user_id: "U0BOT", app_id: "A0APP", client_id: "1.2", bot_id: "B0BOT", bot_user_id: "U0BOT", scopes: ["channels:read"] },
        { token: "xoxp-ann", type: "user", user: "ann", scopes: [...scopes, "channels:join", "channels:manage"] },
      ],
    },
  },
});
console.log("ready");
