// Projects and tasks of the preset `workspace-api`, by a client that openapi-typescript made from its /openapi.json.
//
// GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./workspace-api-document.js";

const { GATEPOST_URL, GATEPOST_KEY } = process.env;
assert(GATEPOST_URL && GATEPOST_KEY, "GATEPOST_URL and GATEPOST_KEY must be set");

const client = createClient<paths>({
  baseUrl: GATEPOST_URL,
  headers: { Authorization: `Bearer ${GATEPOST_KEY}` },
});

// A project and its tasks, read by offset.
const project = await client.POST("/v1/projects", { body: { name: "My Project", description: "A new project" } });
assert(project.data, project.error?.error.message);
const projectId = project.data.data.id;
for (let number = 1; number <= 25; number += 1) {
  const made = await client.POST("/v1/tasks", { body: { title: `Task ${number}`, project_id: projectId } });
  assert(made.data, made.error?.error.message);
}
const tasks: components["schemas"]["Task"][] = [];
for (;;) {
  const listed = await client.GET("/v1/tasks", {
    params: { query: { offset: tasks.length, project_id: [projectId], sort: "created_at" } },
  });
  assert(listed.data, listed.error?.error.message);
  tasks.push(...listed.data.data);
  if (!listed.data.pagination.has_more) break;
}
assert.deepEqual(tasks.map((task) => task.title), Array.from({ length: 25 }, (_, index) => `Task ${index + 1}`));

// One is completed, which cannot be half undone.
const id = tasks[0]?.id;
assert(id, "there is a first task");
const params = { path: { id } };
const completed = await client.PUT("/v1/tasks/{id}", { params, body: { status: "completed" } });
assert.equal(typeof completed.data?.data.completed_at, "string");
const moved = await client.PATCH("/v1/tasks/{id}", { params, body: { status: "in_progress" } });
assert.equal(moved.error?.error.code, "INVALID_STATE");

// The first fault has its field.
const invalid = await client.POST("/v1/projects", { body: { name: "" } });
assert.equal(invalid.error?.error.details.field, "name");

// The tasks go with their project.
const deleted = await client.DELETE("/v1/projects/{id}", { params: { path: { id: projectId } } });
assert.equal(deleted.data?.data.deleted, true);
const gone = await client.GET("/v1/tasks/{id}", { params });
assert.equal(gone.error?.error.code, "NOT_FOUND");
console.log("a project and 25 tasks");
