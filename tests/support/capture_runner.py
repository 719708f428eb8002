"""A Beam runner that runs nothing and keeps what it was given: --runner=support.capture_runner.CaptureRunner."""

from typing import ClassVar

from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState

FLAGS = ("--runner=support.capture_runner.CaptureRunner", "--no_wait_until_finish")


class CaptureRunner(PipelineRunner):
    """Keeps the portable pipelines, in order."""

    captured: ClassVar[list[beam_runner_api_pb2.Pipeline]] = []

    def run_pipeline(self, pipeline, options):
        self.captured.append(pipeline.to_runner_api())
        return PipelineResult(PipelineState.DONE)
