"""Runs moto as a Step Functions engine as long as the process that started it
lives: descriptor 3 as in launch.py.

moto keeps nothing, so there is nothing to save. Three things are put right here,
all of them inside of moto, which is why its version is pinned:
- machines run, without which moto only pretends to;
- a task states:startExecution names its parameters as the API does;
- every answer carries the name that the starter gave, so that nobody takes
  another program on the same port for this one.
"""

import os
import shutil
import signal
import sys
import threading
import uuid


def end_with_parent():
    os.read(3, 1)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=end_with_parent, daemon=True).start()

import botocore.session  # noqa: E402: these imports take long, the thread first
from moto.core.config import default_user_config  # noqa: E402
from moto.server import main  # noqa: E402
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (  # noqa: E402
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str  # noqa: E402
from werkzeug.serving import WSGIRequestHandler  # noqa: E402

states = botocore.session.get_session().get_service_model("stepfunctions")


def operation(task, action):
    words = (action or task._get_boto_service_action()).split("_")
    return states.operation_model("".join(word.title() for word in words))


def parameters(task, given, boto_service_name=None, service_action_name=None):
    if not isinstance(given.get("Input"), str):
        given["Input"] = to_json_str(given.get("Input") or {}, separators=(",", ":"))
    given.setdefault("Name", str(uuid.uuid4()))
    task._to_boto_request(given, operation(task, service_action_name).input_shape)


def result(task, response, boto_service_name=None, service_action_name=None):  # called by keyword
    task._from_boto_response(response, operation(task, service_action_name).output_shape)
    for key, value in list(response.items()):
        if hasattr(value, "timestamp"):
            response[key] = int(value.timestamp() * 1000)


StateTaskServiceSfn._normalise_parameters = parameters
StateTaskServiceSfn._normalise_response = result
default_user_config["stepfunctions"] = {"execute_state_machine": True}
WSGIRequestHandler.version_string = lambda self: os.environ["ENGINE_NAME"]

sys.argv = ["moto_server", "-H", "127.0.0.1", "-p", os.environ["ENGINE_PORT"]]
main()
