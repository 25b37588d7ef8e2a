"""Projects and tasks of the preset `workspace-api`, by a client that openapi-python-client made from its /openapi.json.

GATEPOST_URL is the server, GATEPOST_KEY a key of the root workspace.
"""

import os

from workspace_api_client import AuthenticatedClient
from workspace_api_client.api.projects import create_project, delete_project
from workspace_api_client.api.tasks import create_task, get_task, list_tasks, put_task, update_task
from workspace_api_client.models import (
    CreateProjectBody,
    CreateTaskBody,
    DeletedRecordItem,
    ErrorBody,
    ProjectMessage,
    TaskMessage,
    TaskPage,
    UpdateTaskBody,
)

url, key = (os.environ[name] for name in ("GATEPOST_URL", "GATEPOST_KEY"))
client = AuthenticatedClient(base_url=url, token=key)

# A project and its tasks, read by offset.
body = CreateProjectBody(name="My Project", description="A new project")
project = create_project.sync(client=client, body=body)
assert isinstance(project, ProjectMessage), project
for number in range(1, 26):
    made = create_task.sync(client=client, body=CreateTaskBody(title=f"Task {number}", project_id=project.data.id))
    assert isinstance(made, TaskMessage), made
tasks = []
while True:
    listed = list_tasks.sync(client=client, offset=len(tasks), project_id=[project.data.id], sort="created_at")
    assert isinstance(listed, TaskPage), listed
    tasks.extend(listed.data)
    if not listed.pagination.has_more:
        break
assert [task.title for task in tasks] == [f"Task {number}" for number in range(1, 26)], tasks

# One is completed, which cannot be half undone.
task = tasks[0]
completed = put_task.sync(task.id, client=client, body=UpdateTaskBody.from_dict({"status": "completed"}))
assert isinstance(completed, TaskMessage), completed
assert completed.data.completed_at is not None
moved = update_task.sync(task.id, client=client, body=UpdateTaskBody.from_dict({"status": "in_progress"}))
assert isinstance(moved, ErrorBody) and moved.error.code == "INVALID_STATE", moved

# The first fault has its field.
invalid = create_project.sync(client=client, body=CreateProjectBody(name=""))
assert isinstance(invalid, ErrorBody) and invalid.error.details.field == "name", invalid

# The tasks go with their project.
deleted = delete_project.sync(project.data.id, client=client)
assert isinstance(deleted, DeletedRecordItem) and deleted.data.deleted, deleted
gone = get_task.sync(task.id, client=client)
assert isinstance(gone, ErrorBody) and gone.error.code == "NOT_FOUND", gone
print("a project and 25 tasks")
